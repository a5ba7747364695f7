"""The database: its engine, its limits, and one place that translates what its drivers raise."""

import contextlib
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import orjson
from sqlalchemy import URL, Connection, event, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, DBAPIError, ProgrammingError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from prosa.adapters.sql.dialect import dialect_of
from prosa.adapters.sql.tables import SCHEMA_REVISION
from prosa.application.ports.unit_of_work import StorageUnavailable
from prosa.domain.errors import ConfigurationError

CONNECT_SECONDS = 2
POOL_SECONDS = 2
POOL_SIZE = 10
POOL_OVERFLOW = 10
SQLITE_BUSY_SECONDS = 5

POSTGRES_SETTINGS = {
    "application_name": "prosa",
    "timezone": "UTC",
    "statement_timeout": "5000",
    "lock_timeout": "1000",
    "idle_in_transaction_session_timeout": "10000",
}
"""Sent once for each connection; times in milliseconds."""


class Database:
    """Connections to one database: `postgresql+asyncpg://…` or `sqlite+aiosqlite:///file`.

    Making one connects to nothing. Raises ConfigurationError where the address is no such thing.
    """

    def __init__(self, url: str) -> None:
        self._engine = _engine(url)
        # Reads need no transaction: each statement sees one state by itself.
        self._reading = self._engine.execution_options(isolation_level="AUTOCOMMIT")
        self.dialect = dialect_of(self._engine.dialect)

    async def connect(self) -> AsyncConnection:
        """Take a connection from the pool; what runs on it is one transaction."""
        with translated():
            return await self._engine.connect()

    @contextlib.asynccontextmanager
    async def reading(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection for reads. Raises StorageUnavailable for whatever goes wrong there."""
        with translated():
            async with self._reading.connect() as connection:
                yield connection

    @contextlib.asynccontextmanager
    async def migrating(self) -> AsyncIterator[AsyncConnection]:
        """Lend a connection in one transaction that is committed at the end."""
        with translated():
            async with self._engine.begin() as connection:
                yield connection

    async def check(self) -> None:
        """Prove that it answers and is migrated.

        Raises StorageUnavailable, and ConfigurationError where the tables are not this version's.
        """
        revision = await self.revision()
        if revision != SCHEMA_REVISION:
            found = f"has revision {revision}" if revision else "has no tables of Prosa"
            message = (
                f"the database {found}, and this version needs {SCHEMA_REVISION}: "
                "run `prosa migrate`"
            )
            raise ConfigurationError(message)

    async def revision(self) -> str | None:
        """Read which migration the database is at, None before the first."""
        async with self.reading() as connection:
            try:
                result = await connection.exec_driver_sql("select version_num from alembic_version")
            except DBAPIError as error:
                if _is_missing_table(error):
                    return None
                raise
            return result.scalar_one_or_none()

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Raise StorageUnavailable in place of anything that a driver raises."""
    try:
        yield
    except _driver_errors() as error:
        # The text of a driver's error may hold values of a statement, and with them a message.
        message = f"the database did not do its part ({_cause(error)})"
        raise StorageUnavailable(message) from error


def _driver_errors() -> tuple[type[BaseException], ...]:
    """All that the drivers raise: SQLAlchemy wraps most of it, but not a connection that breaks."""
    errors: tuple[type[BaseException], ...] = (SQLAlchemyError, OSError, TimeoutError)
    if asyncpg := sys.modules.get("asyncpg"):
        errors += (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
    return errors


def _cause(error: BaseException) -> str:
    origin = getattr(error, "orig", None) or error
    code = getattr(origin, "sqlstate", None) or getattr(origin, "sqlite_errorname", None)
    return f"{type(origin).__name__} {code}" if code else type(origin).__name__


def _is_missing_table(error: DBAPIError) -> bool:
    if isinstance(error, ProgrammingError):
        return getattr(error.orig, "sqlstate", None) == "42P01"
    return "no such table" in str(error.orig)


def _engine(address: str) -> AsyncEngine:
    try:
        url = make_url(address)
    except ArgumentError as error:
        raise ConfigurationError(
            "the database's address cannot be read: "
            "write sqlite+aiosqlite:///FILE or postgresql+asyncpg://USER:PASSWORD@HOST/NAME"
        ) from error
    options: dict[str, Any] = {"pool_size": POOL_SIZE, "max_overflow": POOL_OVERFLOW}
    match url.drivername:
        case "postgresql+asyncpg":
            return create_async_engine(
                url,
                pool_timeout=POOL_SECONDS,
                pool_use_lifo=True,
                json_deserializer=orjson.loads,
                connect_args={"timeout": CONNECT_SECONDS, "server_settings": POSTGRES_SETTINGS},
                **options,
            )
        case "sqlite+aiosqlite":
            return _sqlite_engine(url, options)
        case other:
            raise ConfigurationError(
                f"no database adapter for {other!r}: "
                "there are sqlite+aiosqlite and postgresql+asyncpg"
            )


def _sqlite_engine(url: URL, options: dict[str, Any]) -> AsyncEngine:
    engine = create_async_engine(
        url, pool_timeout=POOL_SECONDS, connect_args={"timeout": SQLITE_BUSY_SECONDS}, **options
    )
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    event.listen(engine.sync_engine, "begin", _begin_immediate)
    return engine


def _prepare_sqlite(connection: DBAPIConnection, _record: object) -> None:
    """Leave transactions to us; a commit is on the disk before it is acknowledged."""
    connection.isolation_level = None
    cursor = connection.cursor()
    for pragma in ("journal_mode = wal", "synchronous = full", "foreign_keys = on"):
        cursor.execute(f"pragma {pragma}")
    cursor.close()


def _begin_immediate(connection: Connection) -> None:
    """Take the write lock first: `for update` compiles to nothing on SQLite."""
    if connection.get_isolation_level() != "AUTOCOMMIT":
        connection.exec_driver_sql("begin immediate")
