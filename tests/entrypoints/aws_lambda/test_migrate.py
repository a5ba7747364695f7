"""The function that brings the database to this version: twice changes nothing more."""

from pathlib import Path

from prosa.adapters.sql.database import SCHEMA_REVISION
from tests.lambda_runtime import lambda_function


def test_a_database_is_brought_to_this_version_once(database_url: str, tmp_path: Path) -> None:
    variables = {"PROSA_DATABASE_URL": database_url}
    with lambda_function("prosa.entrypoints.aws_lambda.migrate", variables, tmp_path) as migrate:
        first, second = migrate.invoke({}), migrate.invoke({})
    assert [first["after"], second["after"]] == [SCHEMA_REVISION] * 2
    assert second["before"] == SCHEMA_REVISION
