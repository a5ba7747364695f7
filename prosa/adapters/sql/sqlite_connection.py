"""Connections to a SQLite file, by SQLAlchemy: a thread does the waiting there anyway."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from typing import Any

from sqlalchemy import URL, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from prosa.adapters.sql.connection import LEND_SECONDS, POOL_SIZE, Rows, SqlConnection, SqlPool

SQLITE_BUSY_SECONDS = 2
"""How long a writer waits for one of another process."""

SQLITE_QUEUE_SECONDS = 5
"""How long a writer waits for those of its own process, who write one after another."""


class SqliteConnection(SqlConnection):
    """A connection of aiosqlite's, through SQLAlchemy."""

    def __init__(self, pooled: AsyncConnection, writing: asyncio.Lock) -> None:
        self._pooled = pooled
        self._writing = writing

    async def fetch(self, sql: str, values: Sequence[Any]) -> Rows:
        """Run a statement."""
        return (await self._pooled.exec_driver_sql(sql, tuple(values))).all()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """Take the write lock first: who only reads at first may find it taken later."""
        async with self._turn_to_write():
            await self._pooled.exec_driver_sql("begin immediate")
            try:
                yield
                await self._pooled.exec_driver_sql("commit")
            except BaseException:
                # A connection that was cancelled is closed already, and its transaction undone.
                with suppress(SQLAlchemyError):
                    await self._pooled.exec_driver_sql("rollback")
                raise

    @asynccontextmanager
    async def _turn_to_write(self) -> AsyncIterator[None]:
        """Queue with the other writers of this process.

        Where SQLite has them wait, each asks again and again, and some never get their turn.
        """
        async with asyncio.timeout(SQLITE_QUEUE_SECONDS):
            await self._writing.acquire()
        try:
            yield
        finally:
            self._writing.release()


class SqlitePool(SqlPool):
    """SQLAlchemy's pool of connections to a file."""

    def __init__(self, address: str) -> None:
        self._engine = sqlite_engine(make_url(address))
        self._writing = asyncio.Lock()

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[SqliteConnection]:
        """Lend a connection."""
        async with self._engine.connect() as pooled:
            yield SqliteConnection(pooled, self._writing)

    async def close(self) -> None:
        """Close them."""
        await self._engine.dispose()


def sqlite_engine(url: URL) -> AsyncEngine:
    """Make an engine in autocommit for a SQLite file, which is made where it is missing."""
    engine = create_async_engine(
        url,
        isolation_level="AUTOCOMMIT",
        pool_size=POOL_SIZE,
        max_overflow=0,
        pool_timeout=LEND_SECONDS,
        connect_args={"timeout": SQLITE_BUSY_SECONDS},
    )
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: DBAPIConnection, _record: object) -> None:
    """Let readers read while one writes, and put commits on the disk before they return.

    Each connection may keep 256 KiB of the file: the system keeps it for all of them anyway, and 32
    times SQLite's own 2 MB are memory that only grows.
    """
    cursor = connection.cursor()
    for pragma in (
        "journal_mode = wal",
        "synchronous = full",
        "foreign_keys = on",
        "cache_size = -256",
    ):
        cursor.execute(f"pragma {pragma}")
    cursor.close()
