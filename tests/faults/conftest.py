"""What tests of faults share."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import asyncpg
import pytest
from hypothesis import Phase, settings

from prosa.adapters.sql.migrations import migrate
from prosa.adapters.sql.tables import metadata
from tests.faults.postgres_server import PostgresServer, postgres_server
from tests.faults.promises import plain
from tests.faults.provider import FaultyProvider, faulty_provider

settings.register_profile("soak", max_examples=5_000)
settings.register_profile("seeded-bugs", phases=[Phase.generate], database=None)


@pytest.fixture
async def provider() -> AsyncIterator[FaultyProvider]:
    async with faulty_provider() as provider:
        yield provider


@pytest.fixture(scope="session")
def cluster() -> Iterator[PostgresServer]:
    """Run a migrated Postgres."""
    with postgres_server() as server:
        server.start()
        asyncio.run(migrate(server.url))
        yield server


@pytest.fixture
async def database_url(cluster: PostgresServer) -> str:
    """Give an empty database to one test alone: relay and recovery see all tenants."""
    connection = await asyncpg.connect(plain(cluster.url))
    try:
        tables = ", ".join(table.name for table in metadata.sorted_tables)
        await connection.execute(f"truncate {tables}")
    finally:
        await connection.close()
    return cluster.url
