"""Crashed turns are found by the index that holds running turns only."""

import re

import pytest

from prosa.adapters.sql.compiled import compiled
from prosa.adapters.sql.database import Database

VALUES = {"now": "'2026-03-02T12:00:00+00:00'", "limit": "100"}


@pytest.fixture(params=["postgres", "sqlite"])
def database(request: pytest.FixtureRequest) -> Database:
    found: Database = request.getfixturevalue(request.param)
    return found


async def test_crashed_turns_are_found_by_the_index_of_running_turns(database: Database) -> None:
    statement = compiled(database.dialect, "expired_turns.find")
    explain = "explain" if database.dialect.is_postgres else "explain query plan"
    sql = statement.sql
    for name in statement.names:
        sql = re.sub(r"\$\d+|\?", VALUES.get(name, "0"), sql, count=1)
    async with database.lending() as connection, connection.transaction():
        if database.dialect.is_postgres:  # while the table is small, reading all of it is cheaper
            await connection.fetch("set local enable_seqscan = off", ())
        plan = await connection.fetch(f"{explain} {sql}", ())
    text = " ".join(str(value) for row in plan for value in row)
    assert "ix_turns_running" in text
    assert "Sort" not in text
    assert "TEMP B-TREE" not in text
