"""What tests of operations share: a Postgres as it is set up for production."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from uuid import uuid4

import pytest

from tests.faults.postgres_server import PostgresServer, postgres_server
from tests.operations.roles import APP, OWNER, connect, set_up, url_of

PATTERN = "pattern"
"""The database that each test gets a copy of."""


@pytest.fixture(scope="session")
def production() -> Iterator[PostgresServer]:
    """Run a Postgres with roles as documented, and a migrated database to copy."""
    with postgres_server() as server:
        server.start()
        asyncio.run(set_up(server, PATTERN))
        yield server


@pytest.fixture
async def production_database(production: PostgresServer) -> AsyncIterator[str]:
    """Make a migrated database of the test's own, and name it."""
    name = f"prosa_{uuid4().hex}"
    owner = await connect(production, OWNER)
    await owner.execute(f"create database {name} template {PATTERN}")
    yield name
    await owner.execute(f"drop database {name} with (force)")
    await owner.close()


@pytest.fixture
def production_url(production: PostgresServer, production_database: str) -> str:
    """Give its address, for the role that reads and writes, and owns nothing."""
    return url_of(production, APP, production_database)


@pytest.fixture(params=["production_url", "sqlite_url"])
def database_url(request: pytest.FixtureRequest) -> str:
    """Give a migrated database, of both kinds in turn."""
    url: str = request.getfixturevalue(request.param)
    return url
