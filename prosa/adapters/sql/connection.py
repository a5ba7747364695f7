"""Connections: one for each dialect, by the shortest way to its driver.

SQLAlchemy defines and compiles the statements. On Postgres they run on asyncpg and its pool,
which costs a quarter of what the same statements cost through SQLAlchemy; SQLite, where a thread
does the waiting anyway, takes the ordinary way. Connections are in autocommit: each statement is a
transaction by itself, unless `transaction` says otherwise.
"""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import URL, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from prosa.adapters.sql.dialect import POSTGRES

if TYPE_CHECKING:  # an extra
    import asyncpg

CONNECT_SECONDS = 2
POOL_SECONDS = 2
POOL_SIZE = 32
SQLITE_BUSY_SECONDS = 5

POSTGRES_SETTINGS = {
    "application_name": "prosa",
    "timezone": "UTC",
    "statement_timeout": "5000",
    "lock_timeout": "1000",
    "idle_in_transaction_session_timeout": "10000",
}
"""Sent once for each connection; times in milliseconds."""

Rows = Sequence[Sequence[Any]]


class SqlConnection(Protocol):
    """A connection lent from a pool. Its methods raise what the driver raises."""

    async def fetch(self, sql: str, values: Sequence[Any]) -> Rows:
        """Run a compiled statement and bring all its rows."""

    def transaction(self) -> AbstractAsyncContextManager[None]:
        """Make one transaction of several statements: all that is written in it, or nothing."""


class SqlPool(Protocol):
    """Lends connections."""

    def lend(self) -> AbstractAsyncContextManager[SqlConnection]:
        """Lend a connection that is not known to be broken."""

    async def close(self) -> None:
        """Close all connections."""


class PostgresConnection(SqlConnection):
    """A connection of asyncpg's."""

    def __init__(self, driver: "asyncpg.pool.PoolConnectionProxy[Any]") -> None:
        self._driver = driver

    async def fetch(self, sql: str, values: Sequence[Any]) -> Rows:
        """Run a statement, which asyncpg prepares once for each connection."""
        rows: Rows = await self._driver.fetch(sql, *values)
        return rows

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """Begin and commit."""
        async with self._driver.transaction():
            yield


class PostgresPool(SqlPool):
    """asyncpg's pool, with a fair queue in front of it.

    The pool alone lets who comes later take the connection that another was woken for, so that
    under load some would wait for ever. Who has passed the queue finds a connection free.
    """

    def __init__(self, url: URL) -> None:
        self._url = url
        self._pool: asyncpg.Pool[Any] | None = None
        self._queue = asyncio.Semaphore(POOL_SIZE)

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[PostgresConnection]:
        """Lend a connection; the pool has seen which ones the server closed."""
        if self._queue.locked():
            async with asyncio.timeout(POOL_SECONDS):
                await self._queue.acquire()
        else:
            await self._queue.acquire()
        try:
            pool = self._pool or await self._made()
            driver = await pool.acquire()
            try:
                yield PostgresConnection(driver)
            finally:
                await pool.release(driver)
        finally:
            self._queue.release()

    async def close(self) -> None:
        """Close them, also those that are lent."""
        if self._pool is not None:
            self._pool.terminate()

    async def _made(self) -> "asyncpg.Pool[Any]":
        """Make the pool: no connection is opened before it is asked for."""
        import asyncpg  # noqa: PLC0415  an extra, and slow to load

        _, options = POSTGRES.vendor.create_connect_args(self._url)
        pool = asyncpg.create_pool(
            **options,
            min_size=0,
            max_size=POOL_SIZE,
            reset=_leave_as_it_is,
            timeout=CONNECT_SECONDS,
            server_settings=POSTGRES_SETTINGS,
        )
        self._pool = pool
        await pool
        return pool


class SqliteConnection(SqlConnection):
    """A connection of aiosqlite's, through SQLAlchemy."""

    def __init__(self, pooled: AsyncConnection) -> None:
        self._pooled = pooled

    async def fetch(self, sql: str, values: Sequence[Any]) -> Rows:
        """Run a statement."""
        return (await self._pooled.exec_driver_sql(sql, tuple(values))).all()

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """Take the write lock first: who only reads at first may find it taken later."""
        await self._pooled.exec_driver_sql("begin immediate")
        try:
            yield
            await self._pooled.exec_driver_sql("commit")
        except BaseException:
            await self._pooled.exec_driver_sql("rollback")
            raise


class SqlitePool(SqlPool):
    """SQLAlchemy's pool of connections to a file."""

    def __init__(self, url: URL) -> None:
        self._engine = sqlite_engine(url)

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[SqliteConnection]:
        """Lend a connection."""
        async with self._engine.connect() as pooled:
            yield SqliteConnection(pooled)

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
        pool_timeout=POOL_SECONDS,
        connect_args={"timeout": SQLITE_BUSY_SECONDS},
    )
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: DBAPIConnection, _record: object) -> None:
    """Let readers read while one writes, and put commits on the disk before they return."""
    cursor = connection.cursor()
    for pragma in ("journal_mode = wal", "synchronous = full", "foreign_keys = on"):
        cursor.execute(f"pragma {pragma}")
    cursor.close()


async def _leave_as_it_is(_connection: object) -> None:
    """Save a round trip: nothing here changes a connection's settings for longer than itself."""
