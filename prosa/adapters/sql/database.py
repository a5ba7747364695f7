"""The database: its engine, its limits, and one place that translates what its drivers raise."""

import contextlib
import sys
from collections.abc import AsyncIterator, Iterator
from typing import Any

import orjson
from sqlalchemy import URL, Connection, event, inspect, make_url
from sqlalchemy.engine.interfaces import DBAPIConnection
from sqlalchemy.exc import ArgumentError, IntegrityError, SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from prosa.adapters.sql.connection import PostgresConnection, SqlConnection, SqliteConnection
from prosa.adapters.sql.dialect import dialect_of
from prosa.adapters.sql.tables import SCHEMA_REVISION
from prosa.application.ports.unit_of_work import StorageUnavailable, VersionConflict
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
        self.dialect = dialect_of(self._engine.dialect)

    async def connect(self) -> SqlConnection:
        """Take a connection from the pool; close it to give it back."""
        with translated():
            if self.dialect.is_postgres:
                return await PostgresConnection.lend(self._engine)
            return await SqliteConnection.lend(self._engine)

    @contextlib.asynccontextmanager
    async def lending(self) -> AsyncIterator[SqlConnection]:
        """Lend a connection. Without `begin`, each statement is a transaction by itself.

        Raises StorageUnavailable for whatever goes wrong there.
        """
        connection = await self.connect()
        with translated():
            try:
                yield connection
            finally:
                await connection.close()

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
        async with self.lending() as connection:
            if not await connection.run_sync(_is_migrated_at_all):
                return None
            rows = await connection.fetch("select version_num from alembic_version", ())
            return str(rows[0][0]) if rows else None

    async def close(self) -> None:
        """Close all connections."""
        await self._engine.dispose()


@contextlib.contextmanager
def translated() -> Iterator[None]:
    """Translate whatever a driver raises.

    A broken constraint means that somebody else was first: VersionConflict. Anything else is
    StorageUnavailable.
    """
    try:
        yield
    except _driver_errors() as error:
        # The text of a driver's error may hold values of a statement, and with them a message.
        if _breaks_constraint(error):
            raise VersionConflict("somebody else saved the conversation first") from error
        raise StorageUnavailable(f"the database did not do its part ({_cause(error)})") from error


def _driver_errors() -> tuple[type[BaseException], ...]:
    """List what may come: SQLAlchemy's own, the network's, and asyncpg's, which it wraps not."""
    errors: tuple[type[BaseException], ...] = (SQLAlchemyError, OSError, TimeoutError)
    if asyncpg := sys.modules.get("asyncpg"):
        errors += (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
    return errors


def _breaks_constraint(error: BaseException) -> bool:
    integrity_class = "23"  # https://www.postgresql.org/docs/current/errcodes-appendix.html
    sqlstate = getattr(error, "sqlstate", None) or ""
    return isinstance(error, IntegrityError) or sqlstate.startswith(integrity_class)


def _cause(error: BaseException) -> str:
    origin = getattr(error, "orig", None) or error
    code = getattr(origin, "sqlstate", None) or getattr(origin, "sqlite_errorname", None)
    return f"{type(origin).__name__} {code}" if code else type(origin).__name__


def _is_migrated_at_all(connection: Connection) -> bool:
    return inspect(connection).has_table("alembic_version")


def _engine(address: str) -> AsyncEngine:
    try:
        url = make_url(address)
    except ArgumentError as error:
        raise ConfigurationError(
            "the database's address cannot be read: "
            "write sqlite+aiosqlite:///FILE or postgresql+asyncpg://USER:PASSWORD@HOST/NAME"
        ) from error
    options: dict[str, Any] = {
        "pool_size": POOL_SIZE,
        "max_overflow": POOL_OVERFLOW,
        "pool_timeout": POOL_SECONDS,
        "pool_use_lifo": True,
        "isolation_level": "AUTOCOMMIT",
    }
    match url.drivername:
        case "postgresql+asyncpg":
            return create_async_engine(
                url,
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
    engine = create_async_engine(url, connect_args={"timeout": SQLITE_BUSY_SECONDS}, **options)
    event.listen(engine.sync_engine, "connect", _prepare_sqlite)
    return engine


def _prepare_sqlite(connection: DBAPIConnection, _record: object) -> None:
    """Let readers read while one writes, and put commits on the disk before they return."""
    cursor = connection.cursor()
    for pragma in ("journal_mode = wal", "synchronous = full", "foreign_keys = on"):
        cursor.execute(f"pragma {pragma}")
    cursor.close()
