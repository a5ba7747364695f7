"""Many who write to one SQLite file, again and again: each gets its turn."""

import asyncio
from itertools import repeat

import pytest

from prosa.adapters.sql.database import Database
from prosa.adapters.sql.sqlite_connection import SQLITE_BUSY_SECONDS, SQLITE_QUEUE_SECONDS
from prosa.application.ports.unit_of_work import StorageUnavailable

WRITERS = 16
SECONDS = 1.5 * SQLITE_BUSY_SECONDS
A_WRITE = 0.005


async def write(database: Database, seconds: float) -> None:
    async with database.lending() as connection, connection.transaction():
        await asyncio.sleep(seconds)


async def test_nobody_is_refused_because_others_write(sqlite: Database) -> None:
    async def write_on(written: list[int], end: float) -> None:
        while asyncio.get_running_loop().time() < end:
            await write(sqlite, A_WRITE)
            written.append(1)

    end = asyncio.get_running_loop().time() + SECONDS
    each: list[list[int]] = [[] for _ in range(WRITERS)]
    await asyncio.gather(*map(write_on, each, repeat(end)))
    assert all(len(written) > 1 for written in each)


async def test_who_waits_for_too_long_is_told_so(sqlite: Database) -> None:
    writes, told = asyncio.Event(), asyncio.Event()

    async def write_until_told() -> None:
        async with sqlite.lending() as connection, connection.transaction():
            writes.set()
            await told.wait()

    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(write_until_told())
        await writes.wait()
        async with asyncio.timeout(10 * SQLITE_QUEUE_SECONDS):
            with pytest.raises(StorageUnavailable):
                await write(sqlite, A_WRITE)
        told.set()
