"""What a connection is, and those to Postgres: by asyncpg.

That costs a quarter of what the same statements cost through SQLAlchemy. Connections are in
autocommit: each statement is a transaction by itself, unless `transaction` says otherwise.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

from prosa.adapters.sql.postgres_address import connect_options
from prosa.application.ports.secret_store import Secret

if TYPE_CHECKING:  # an extra
    import asyncpg

    Driver = asyncpg.Connection[Any]

LEND_SECONDS = 2
"""How long who wants a connection waits for one, be it lent out or still to be opened."""

STATEMENT_SECONDS = 6
"""After this a server that has not answered hangs: it gives up by itself after five."""

POOL_SIZE = 32

REST_SECONDS = 300
"""How long a connection may rest: networks and proxies forget those that are silent for longer."""

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
    """Connections of asyncpg's, lent in the order in which they are asked for.

    asyncpg has a pool of its own. It lets who comes later take the connection that another was
    woken for, so that under load some would wait for ever; and to lend one by it costs three times
    what a statement does.
    """

    def __init__(self, address: str, password: Secret | None = None) -> None:
        """`password` is read for each new connection; without it, the address has one, or none."""
        self._options = connect_options(address)
        self._password = password
        self._queue = asyncio.Semaphore(POOL_SIZE)
        self._trusted = _Connections()
        # The event loop itself holds tasks only weakly.
        self._closing: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def lend(self) -> AsyncIterator[PostgresConnection]:
        """Lend a connection that the server has not closed."""
        trusted, driver = await self._acquired()
        connection = PostgresConnection(driver, partial(self._distrust, trusted))
        try:
            yield connection
        finally:
            if connection.is_given_up:
                trusted.forget(driver)
                self._close_later(driver, then=self._queue.release)
            else:
                trusted.take_back(driver)
                self._queue.release()

    async def close(self) -> None:
        """Close them, also those that are lent."""
        self._distrust(self._trusted)
        if self._closing:
            await asyncio.wait(self._closing)

    def _distrust(self, trusted: "_Connections") -> None:
        """Close all connections: to a server that hangs, or is no more, none will answer."""
        trusted.terminate()
        if self._trusted is trusted:
            self._trusted = _Connections()

    async def _acquired(self) -> "tuple[_Connections, Driver]":
        """Pass the queue and take a connection, both within the time for it."""
        async with asyncio.timeout(LEND_SECONDS):
            await self._queue.acquire()
            try:
                return await self._idle_or_new()
            except BaseException:
                self._queue.release()
                raise

    async def _idle_or_new(self) -> "tuple[_Connections, Driver]":
        for outworn in self._trusted.outworn():
            self._close_later(outworn)
        driver = self._trusted.idle()
        if driver is None:
            driver = await self._opened()
            self._trusted.add(driver)
        return self._trusted, driver

    async def _opened(self) -> "Driver":
        """Open a connection, at a second try where the password may have been rotated."""
        try:
            return await self._connected()
        except Exception as error:
            # By the code and not by asyncpg's class: the driver is an extra.
            if self._password is None or getattr(error, "sqlstate", None) != REFUSED_AT_LOGIN:
                raise
        self._password.doubt()
        return await self._connected()

    async def _connected(self) -> "Driver":
        import asyncpg  # noqa: PLC0415  an extra, and slow to load

        options = dict(self._options)
        if self._password is not None:
            options["password"] = self._password.read
        driver: Driver = await asyncpg.connect(
            **options,
            timeout=LEND_SECONDS,
            command_timeout=STATEMENT_SECONDS,
            server_settings=POSTGRES_SETTINGS,
        )
        return driver

    def _close_later(self, driver: "Driver", then: Callable[[], None] = lambda: None) -> None:
        """Close a connection once the server has heard that nobody waits for it any more.

        Who gave up does not wait for that: it takes a connection more, and the server may hang.
        """
        closing = asyncio.ensure_future(_close(driver))
        self._closing.add(closing)

        def closed(closing: asyncio.Task[None]) -> None:
            self._closing.discard(closing)
            then()

        closing.add_done_callback(closed)


class _Connections:
    """The connections that were opened since the server was last found to hang."""

    def __init__(self) -> None:
        self._all: set[Driver] = set()
        self._idle: deque[tuple[Driver, float]] = deque()
        """Those that nobody has, and since when; who came back last is on the right."""

    def add(self, driver: "Driver") -> None:
        """Know a new one."""
        self._all.add(driver)

    def forget(self, driver: "Driver") -> None:
        """Leave one to whoever closes it."""
        self._all.discard(driver)

    def take_back(self, driver: "Driver") -> None:
        """Keep one for the next, unless it broke."""
        if driver.is_closed():
            self._all.discard(driver)
        else:
            self._idle.append((driver, _seconds()))

    def idle(self) -> "Driver | None":
        """Take the one that rested least."""
        while self._idle:
            driver, _ = self._idle.pop()
            if not driver.is_closed():
                return driver
            self._all.discard(driver)
        return None

    def outworn(self) -> "Iterator[Driver]":
        """Take out what rested for so long that something on the way may have forgotten it."""
        while self._idle and _seconds() - self._idle[0][1] > REST_SECONDS:
            driver, _ = self._idle.popleft()
            self._all.discard(driver)
            yield driver

    def terminate(self) -> None:
        """Break all connections off."""
        for driver in self._all:
            driver.terminate()
        self._all.clear()
        self._idle.clear()


def _seconds() -> float:
    return asyncio.get_running_loop().time()


async def _close(driver: "Driver") -> None:
    try:
        async with asyncio.timeout(LEND_SECONDS):
            await driver.close()
    except Exception:  # noqa: BLE001 - it was closed, then; nobody needs to know
        driver.terminate()
