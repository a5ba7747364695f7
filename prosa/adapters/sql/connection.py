"""A connection lent from the pool: transactions and statements, by the shortest way to the driver.

SQLAlchemy keeps the pool and compiles the statements. On Postgres they run on asyncpg itself, which
costs a third of what the same statements cost through SQLAlchemy's adapter; SQLite, where a thread
does the waiting anyway, takes the ordinary way. Transactions are begun and ended here, so both
engines are in autocommit.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, cast

from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

if TYPE_CHECKING:  # each driver is an extra
    import asyncpg

T = TypeVar("T")
Rows = Sequence[Sequence[Any]]


class SqlConnection(Protocol):
    """What units of work and readers need of a connection. Each method raises driver errors."""

    async def begin(self) -> None:
        """Begin a transaction that may write."""

    async def fetch(self, sql: str, values: Sequence[Any]) -> Rows:
        """Run a compiled statement and bring all its rows."""

    async def commit(self) -> None:
        """Commit the transaction."""

    async def run_sync(self, work: Callable[[Connection], T]) -> T:
        """Run SQLAlchemy's own code on the connection."""

    async def close(self) -> None:
        """Roll back what was not committed, and give the connection back."""


class PostgresConnection(SqlConnection):
    """Talks to asyncpg past SQLAlchemy, and tells the pool when the connection is broken."""

    def __init__(self, pooled: AsyncConnection, driver: "asyncpg.Connection[Any]") -> None:
        self._pooled = pooled
        self._driver = driver

    @classmethod
    async def lend(cls, engine: AsyncEngine) -> "PostgresConnection":
        """Take a connection that is not known to be broken."""
        while True:
            pooled = await engine.connect()
            raw = (await pooled.get_raw_connection()).driver_connection
            driver = cast("asyncpg.Connection[Any]", raw)
            if not driver.is_closed():
                return cls(pooled, driver)
            # The server went away while it lay in the pool: asyncpg has seen it, the pool has not.
            await pooled.invalidate()
            await pooled.close()

    async def begin(self) -> None:
        """Begin; rows are locked one by one."""
        await self._driver.execute("begin")

    async def fetch(self, sql: str, values: Sequence[Any]) -> Rows:
        """Run a statement that asyncpg prepares once for each connection."""
        return await self._driver.fetch(sql, *values)

    async def commit(self) -> None:
        """Commit."""
        await self._driver.execute("commit")

    async def run_sync(self, work: Callable[[Connection], T]) -> T:
        """Run SQLAlchemy's own code."""
        return await self._pooled.run_sync(work)

    async def close(self) -> None:
        """Roll back, and give back; a broken connection is thrown away."""
        try:
            if not self._driver.is_closed() and self._driver.is_in_transaction():
                await self._driver.execute("rollback")
        finally:
            if self._driver.is_closed() or self._driver.is_in_transaction():
                await self._pooled.invalidate()
            await self._pooled.close()


class SqliteConnection(SqlConnection):
    """Talks to aiosqlite through SQLAlchemy."""

    def __init__(self, pooled: AsyncConnection) -> None:
        self._pooled = pooled
        self._in_transaction = False

    @classmethod
    async def lend(cls, engine: AsyncEngine) -> "SqliteConnection":
        """Take a connection."""
        return cls(await engine.connect())

    async def begin(self) -> None:
        """Take the write lock first: `for update` compiles to nothing on SQLite."""
        await self._pooled.exec_driver_sql("begin immediate")
        self._in_transaction = True

    async def fetch(self, sql: str, values: Sequence[Any]) -> Rows:
        """Run a statement."""
        return (await self._pooled.exec_driver_sql(sql, tuple(values))).all()

    async def commit(self) -> None:
        """Commit: it is on the disk before this returns."""
        await self._pooled.exec_driver_sql("commit")
        self._in_transaction = False

    async def run_sync(self, work: Callable[[Connection], T]) -> T:
        """Run SQLAlchemy's own code."""
        return await self._pooled.run_sync(work)

    async def close(self) -> None:
        """Roll back, and give back."""
        try:
            if self._in_transaction:
                await self._pooled.exec_driver_sql("rollback")
        except BaseException:
            await self._pooled.invalidate()
            raise
        finally:
            await self._pooled.close()
