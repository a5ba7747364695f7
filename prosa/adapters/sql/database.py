"""The database: lends connections, and translates what its drivers raise in one place."""

import sys
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from types import TracebackType

from prosa.adapters.sql.connection import PostgresPool, SqlConnection, SqlPool
from prosa.adapters.sql.dialect import POSTGRES, SQLITE, SqlDialect
from prosa.adapters.sql.postgres_address import UNREADABLE
from prosa.application.ports.secret_store import Secret, SecretUnavailable, SecretUnreadable
from prosa.application.ports.unit_of_work import (
    CommitUnknown,
    StorageUnavailable,
    VersionConflict,
)
from prosa.domain.errors import ConfigurationError

SCHEMA_REVISION = "0002"
"""The migration that makes the tables what they are. Revisions are numbers that ascend."""


class Database:
    """A database by its address: `postgresql+asyncpg://…` or `sqlite+aiosqlite:///file`.

    Making one connects to nothing. Raises ConfigurationError where the address is no such thing.
    """

    def __init__(self, url: str, *, password: Secret | None = None) -> None:
        """`password` takes the place of one in the address; SQLite has none."""
        self.dialect, self._pool = _dialect_and_pool(url, password)

    def lending(self) -> AbstractAsyncContextManager[SqlConnection]:
        """Lend a connection. Raises StorageUnavailable or VersionConflict for what goes wrong."""
        return _Lending(self._pool.lend())

    async def check(self) -> str | None:
        """Prove that it answers and is migrated; says so where it is of a newer version.

        Raises StorageUnavailable, and ConfigurationError where this version cannot work with it.
        """
        revision = await self.revision()
        if revision is None:
            raise ConfigurationError("the database has no tables of Prosa: run `prosa migrate`")
        if revision < SCHEMA_REVISION:
            raise ConfigurationError(
                f"the database has revision {revision}, and this version needs {SCHEMA_REVISION}: "
                "run `prosa migrate`"
            )
        if not is_newer(revision):
            return None
        if needed_by(revision) > SCHEMA_REVISION:
            raise ConfigurationError(
                f"the database has revision {revision}, with which no version of Prosa works that "
                f"knows none after {SCHEMA_REVISION}: use a newer one"
            )
        return f"at revision {revision} of a newer version; this one knows {SCHEMA_REVISION}"

    async def revision(self) -> str | None:
        """Read which migration the database is at, None before the first."""
        async with self.lending() as connection:
            if not await connection.fetch(self.dialect.find_revisions, ()):
                return None
            rows = await connection.fetch("select version_num from alembic_version", ())
            return str(rows[0][0]) if rows else None

    async def close(self) -> None:
        """Close all connections."""
        await self._pool.close()


def is_newer(revision: str | None) -> bool:
    """Whether a database at this revision was migrated by a newer version."""
    return revision is not None and revision > SCHEMA_REVISION


def needed_by(revision: str) -> str:
    """Say which revision a version of Prosa has to know to work with a database at this one.

    Revisions add, and whoever does not know what is new leaves it alone. One that takes something
    away is named `0009_0008`: it needs what knows 0008. Those behind it carry that on.
    """
    return revision.partition("_")[2]


class _Lending(AbstractAsyncContextManager[SqlConnection]):
    """A loan whose errors are translated. What a turn enters are classes: generators cost more."""

    def __init__(self, loan: AbstractAsyncContextManager[SqlConnection]) -> None:
        self._loan = loan

    async def __aenter__(self) -> SqlConnection:
        with translated():
            return await self._loan.__aenter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        with translated():
            await self._loan.__aexit__(kind, error, traceback)
            if error is not None:
                raise error


class translated(AbstractContextManager[None]):  # noqa: N801  named as what a block is
    """Translate whatever a driver raises.

    A broken constraint means that somebody else was first, and so does a deadlock, of which
    Postgres has one side go on: VersionConflict. Anything else is StorageUnavailable.
    """

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(
        self, _kind: object, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        """Raise in the error's place what it means."""
        if isinstance(error, SecretUnavailable | SecretUnreadable):
            raise StorageUnavailable(f"the database's password: {error}") from error
        if error is None or not isinstance(error, _driver_errors()):
            return
        # The text of a driver's error may hold values of a statement, and with them a message.
        if _breaks_constraint(error) or _state(error).startswith(LOST_RACE):
            raise VersionConflict("somebody else saved the conversation first") from error
        away = isinstance(error, OSError | TimeoutError)
        what = "cannot be reached, or has no connection free" if away else "refused or failed"
        hint = ": does its server run where PROSA_DATABASE_URL leads?" if away else _hint(error)
        raise StorageUnavailable(f"the database {what} ({_cause(error)}){hint}") from error


class committing(AbstractContextManager[None]):  # noqa: N801  as above
    """Tell a failure that wrote nothing from one after which nobody knows.

    What the server itself reports was not written. Where the connection broke, or the server says
    that it breaks it, it may have been.
    """

    def __enter__(self) -> None:
        """Begin."""

    def __exit__(
        self, _kind: object, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        """Raise CommitUnknown in the place of an error after which nobody knows."""
        if error is None or not isinstance(error, _driver_errors()):
            return
        if _state(error).startswith(BROKEN_CONNECTION) or isinstance(error, _breaks()):
            raise CommitUnknown(f"broken off while committing ({_cause(error)})") from error


# https://www.postgresql.org/docs/current/errcodes-appendix.html
LOST_RACE = ("23", "40")
"""A broken constraint; a transaction that was undone for another's sake."""
BROKEN_CONNECTION = ("08", "57P")
"""A broken connection; a server that stops or was told to end the connection."""


def _breaks() -> tuple[type[BaseException], ...]:
    """List how a connection breaks without a word from the server."""
    errors: tuple[type[BaseException], ...] = (OSError,)
    if asyncpg := sys.modules.get("asyncpg"):
        errors += (asyncpg.InternalClientError,)
    return errors


def _driver_errors() -> tuple[type[BaseException], ...]:
    """List what may come: the network's, SQLAlchemy's own, and asyncpg's, of several roots."""
    errors: tuple[type[BaseException], ...] = (OSError, TimeoutError)
    if sqlalchemy := sys.modules.get("sqlalchemy.exc"):
        errors += (sqlalchemy.SQLAlchemyError,)
    if asyncpg := sys.modules.get("asyncpg"):
        errors += (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
    return errors


def _breaks_constraint(error: BaseException) -> bool:
    sqlalchemy = sys.modules.get("sqlalchemy.exc")
    return sqlalchemy is not None and isinstance(error, sqlalchemy.IntegrityError)


def _state(error: BaseException) -> str:
    return getattr(error, "sqlstate", None) or ""


def _cause(error: BaseException) -> str:
    origin = getattr(error, "orig", None) or error
    return f"{type(origin).__name__} {_code(origin)}".strip()


def _code(origin: BaseException) -> str:
    return _state(origin) or getattr(origin, "sqlite_errorname", "")


_HINTS = {
    "SQLITE_NOTADB": ": the file is no SQLite database, so have PROSA_DATABASE_URL name another",
    "28P01": ": look at user and password in PROSA_DATABASE_URL, or at PROSA_DATABASE_PASSWORD",
    "3D000": ": make the database first, or have PROSA_DATABASE_URL name another",
}


def _hint(error: BaseException) -> str:
    """Say what to do, where the settings are wrong."""
    return _HINTS.get(_code(getattr(error, "orig", None) or error), "")


def _dialect_and_pool(address: str, password: Secret | None) -> tuple[SqlDialect, SqlPool]:
    match address.partition("://"):
        case "postgresql+asyncpg", _, _:
            return POSTGRES, PostgresPool(address, password)
        case "sqlite+aiosqlite", _, _:
            from prosa.adapters.sql.sqlite_connection import (  # noqa: PLC0415 - slow to load
                SqlitePool,
            )

            return SQLITE, SqlitePool(address)
        case _, "", _:
            raise ConfigurationError(UNREADABLE)
        case other, _, _:
            raise ConfigurationError(
                f"no database adapter for {other!r}: "
                "there are sqlite+aiosqlite and postgresql+asyncpg"
            )
