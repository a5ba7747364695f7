"""What a connection is, and those to Postgres: by asyncpg and its pool.

That costs a quarter of what the same statements cost through SQLAlchemy. Connections are in
autocommit: each statement is a transaction by itself, unless `transaction` says otherwise.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from prosa.adapters.sql.postgres_address import connect_options
from prosa.application.ports.secret_store import Secret

if TYPE_CHECKING:  # an extra
    import asyncpg

    Pool = asyncpg.Pool[Any]
    Driver = asyncpg.pool.PoolConnectionProxy[Any]

LEND_SECONDS = 2
"""How long who wants a connection waits for one, be it lent out or still to be opened."""

STATEMENT_SECONDS = 6
"""After this a server that has not answered hangs: it gives up by itself after five."""

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

    def __init__(self, address: str, password: Secret | None = None) -> None:
        """`password` is read for each new connection; without it, the address has one, or none."""
        self._options = connect_options(address)
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

        options = dict(self._options)
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


async def _leave_as_it_is(_connection: object) -> None:
    """Save a round trip: nothing here changes a connection's settings for longer than itself."""
