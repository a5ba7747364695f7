"""Connections: one for each dialect, by the shortest way to its driver.

SQLAlchemy defines and compiles the statements. On Postgres they run on asyncpg and its pool,
which costs a quarter of what the same statements cost through SQLAlchemy; SQLite, where a thread
does the waiting anyway, takes the ordinary way. Connections are in autocommit: each statement is a
transaction by itself, unless `transaction` says otherwise.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from sqlalchemy import URL, event
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import SQLAlchemyError

from prosa.adapters.sql.dialect import POSTGRES
from prosa.application.ports.secret_store import Secret

if TYPE_CHECKING:  # an extra; and what brings SQLAlchemy's mapper along, which takes 60 ms to load
    import asyncpg
    from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

    Pool = asyncpg.Pool[Any]
    Driver = asyncpg.pool.PoolConnectionProxy[Any]

LEND_SECONDS = 2
"""How long who wants a connection waits for one, be it lent out or still to be opened."""

STATEMENT_SECONDS = 6
"""After this a server that has not answered hangs: it gives up by itself after five."""

SQLITE_BUSY_SECONDS = 2
"""How long a writer waits for one of another process."""

SQLITE_QUEUE_SECONDS = 5
"""How long a writer waits for those of its own process, who write one after another."""

POOL_SIZE = 32

REFUSED_AT_LOGIN = "28P01"  # https://www.postgresql.org/docs/current/errcodes-appendix.html

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
    """A connection of asyncpg's. `hangs` is called where the server has not answered in time."""

    def __init__(self, driver: "Driver", hangs: Callable[[], None]) -> None:
        self.is_given_up = False
        """Whether it still has to tell the server that nobody waits for the answer any more."""
        self._driver = driver
        self._hangs = hangs

    async def fetch(self, sql: str, values: Sequence[Any]) -> Rows:
        """Run a statement, which asyncpg prepares once for each connection."""
        try:
            rows: Rows = await self._driver.fetch(sql, *values)
        except (TimeoutError, asyncio.CancelledError) as error:
            self._give_up(error)
            raise
        return rows

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        """Begin and commit."""
        try:
            async with self._driver.transaction():
                yield
        except (TimeoutError, asyncio.CancelledError) as error:
            self._give_up(error)
            raise

    def _give_up(self, error: BaseException) -> None:
        self.is_given_up = True
        if isinstance(error, TimeoutError):
            self._hangs()


class PostgresPool(SqlPool):
    """asyncpg's pool, with a fair queue in front of it.

    The pool alone lets who comes later take the connection that another was woken for, so that
    under load some would wait for ever. Who has passed the queue finds a connection free.
    """

    def __init__(self, url: URL, password: Secret | None = None) -> None:
        """`password` is read for each new connection; without it, the address has one, or none."""
        self._url = url
        self._password = password
        self._pool: Pool | None = None
        self._queue = asyncio.Semaphore(POOL_SIZE)
        # The event loop itself holds tasks only weakly.
        self._taking_back: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[PostgresConnection]:
        """Lend a connection; the pool has seen which ones the server closed."""
        pool, driver = await self._acquired()
        connection = PostgresConnection(driver, partial(self._distrust, pool))
        try:
            yield connection
        finally:
            if connection.is_given_up:
                self._take_back_later(pool, driver)
            else:
                await self._take_back(pool, driver)

    async def close(self) -> None:
        """Close them, also those that are lent."""
        if self._pool is not None:
            self._distrust(self._pool)
        if self._taking_back:
            await asyncio.wait(self._taking_back)

    def _distrust(self, pool: "Pool") -> None:
        """Close all connections: to a server that hangs, or is no more, none will answer."""
        pool.terminate()
        if self._pool is pool:
            self._pool = None

    async def _acquired(self) -> "tuple[Pool, Driver]":
        """Pass the queue and take a connection, both within the time for it."""
        async with asyncio.timeout(LEND_SECONDS):
            await self._queue.acquire()
            try:
                pool = self._pool or await self._made()
                return pool, await self._acquired_from(pool)
            except BaseException:
                self._queue.release()
                raise

    async def _acquired_from(self, pool: "Pool") -> "Driver":
        """Take a connection, at a second try where the password may have been rotated."""
        try:
            return await pool.acquire()
        except Exception as error:
            # By the code and not by asyncpg's class: the driver is an extra.
            if self._password is None or getattr(error, "sqlstate", None) != REFUSED_AT_LOGIN:
                raise
        self._password.doubt()
        return await pool.acquire()

    async def _take_back(self, pool: "Pool", driver: "Driver") -> None:
        try:
            await pool.release(driver, timeout=LEND_SECONDS)
        finally:
            self._queue.release()

    def _take_back_later(self, pool: "Pool", driver: "Driver") -> None:
        """Take a connection back once the server has heard that nobody waits for it any more.

        Who gave up does not wait for that: it takes a connection more, and the server may hang.
        """
        taking_back = asyncio.ensure_future(self._take_back(pool, driver))
        self._taking_back.add(taking_back)
        taking_back.add_done_callback(self._taken_back)

    def _taken_back(self, taking_back: asyncio.Task[None]) -> None:
        self._taking_back.discard(taking_back)
        if not taking_back.cancelled():
            taking_back.exception()  # it was closed, then; nobody needs to know

    async def _made(self) -> "Pool":
        """Make the pool: no connection is opened before it is asked for."""
        import asyncpg  # noqa: PLC0415  an extra, and slow to load

        _, options = POSTGRES.vendor.create_connect_args(self._url)
        if self._password is not None:
            options["password"] = self._password.read
        pool = asyncpg.create_pool(
            **options,
            min_size=0,
            max_size=POOL_SIZE,
            reset=_leave_as_it_is,
            timeout=LEND_SECONDS,
            command_timeout=STATEMENT_SECONDS,
            server_settings=POSTGRES_SETTINGS,
        )
        self._pool = pool
        await pool
        return pool


class SqliteConnection(SqlConnection):
    """A connection of aiosqlite's, through SQLAlchemy."""

    def __init__(self, pooled: "AsyncConnection", writing: asyncio.Lock) -> None:
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

    def __init__(self, url: URL) -> None:
        self._engine = sqlite_engine(url)
        self._writing = asyncio.Lock()

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[SqliteConnection]:
        """Lend a connection."""
        async with self._engine.connect() as pooled:
            yield SqliteConnection(pooled, self._writing)

    async def close(self) -> None:
        """Close them."""
        await self._engine.dispose()


def sqlite_engine(url: URL) -> "AsyncEngine":
    """Make an engine in autocommit for a SQLite file, which is made where it is missing."""
    from sqlalchemy.ext.asyncio import create_async_engine  # noqa: PLC0415  slow to load

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


async def _leave_as_it_is(_connection: object) -> None:
    """Save a round trip: nothing here changes a connection's settings for longer than itself."""
