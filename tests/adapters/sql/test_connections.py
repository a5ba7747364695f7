"""Connections to Postgres: which are lent again, and which are closed."""

import asyncio

import pytest

from prosa.adapters.sql import connection
from prosa.adapters.sql.database import Database
from tests.waiting import SECONDS

OWN = "select pg_backend_pid()"


async def lent(database: Database) -> int:
    """Borrow a connection; say which it was."""
    async with database.lending() as lent:
        return int((await lent.fetch(OWN, ()))[0][0])


async def until_closed(database: Database, process: int) -> None:
    """Wait until the server has no such connection any more."""
    async with database.lending() as lent, asyncio.timeout(SECONDS):
        while await lent.fetch("select 1 from pg_stat_activity where pid = $1", (process,)):  # noqa: ASYNC110 - only Postgres knows
            await asyncio.sleep(0.01)


async def test_a_connection_that_came_back_is_lent_again(postgres: Database) -> None:
    assert await lent(postgres) == await lent(postgres)


async def test_one_that_rested_for_long_is_closed_and_not_lent(
    postgres: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = await lent(postgres)
    monkeypatch.setattr(connection, "REST_SECONDS", -1)
    assert await lent(postgres) != old
    await until_closed(postgres, old)


async def test_one_whose_statement_was_given_up_is_closed_and_its_place_is_free_again(
    postgres: Database,
) -> None:
    for _ in range(connection.POOL_SIZE + 1):
        async with postgres.lending() as given_up:
            process = int((await given_up.fetch(OWN, ()))[0][0])
            asking = asyncio.ensure_future(given_up.fetch("select pg_sleep(60)", ()))
            await asyncio.sleep(0)
            asking.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asking
    await until_closed(postgres, process)


async def test_a_server_that_is_found_to_hang_loses_all_connections(postgres: Database) -> None:
    async with postgres.lending() as one, postgres.lending() as other:
        await one.fetch(OWN, ())
        process = int((await other.fetch(OWN, ()))[0][0])
        one._hangs()  # type: ignore[attr-defined] # as after a statement's time
        with pytest.raises(Exception, match="closed"):
            await other.fetch(OWN, ())
    await until_closed(postgres, process)
    assert await lent(postgres)
