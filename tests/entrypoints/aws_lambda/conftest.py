"""What tests of functions share: containers that a module keeps, since starting one is slow."""

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.lambda_runtime import LambdaFunction, lambda_function

HTTP = "prosa.entrypoints.aws_lambda.http"


@pytest.fixture(scope="module", params=["sqlite", "postgres"])
def database_url(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Give the address of a database of either kind, which the module shares."""
    if request.param == "postgres":
        url: str = request.getfixturevalue("postgres_url")
        return url
    return f"sqlite+aiosqlite:///{tmp_path_factory.mktemp('shared') / 'prosa.db'}"


@pytest.fixture(scope="module")
def http_function(
    database_url: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LambdaFunction]:
    """Run the HTTP API's function with a model that answers at once."""
    folder: Path = tmp_path_factory.mktemp("http")
    variables = {"PROSA_MODELS": "scripted", "PROSA_DATABASE_URL": database_url}
    with lambda_function(HTTP, variables, folder) as function:
        yield function


@pytest.fixture
def silent() -> Iterator[str]:
    """Give the address of somebody who takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
