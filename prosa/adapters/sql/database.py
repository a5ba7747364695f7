"""The database: lends connections, and translates what its drivers raise in one place."""

import sys
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from types import TracebackType

from sqlalchemy import make_url
from sqlalchemy.exc import ArgumentError, IntegrityError, SQLAlchemyError

from prosa.adapters.sql.connection import PostgresPool, SqlConnection, SqlitePool, SqlPool
from prosa.adapters.sql.dialect import POSTGRES, SQLITE, SqlDialect
from prosa.adapters.sql.tables import SCHEMA_REVISION
from prosa.application.ports.secret_store import Secret, SecretUnavailable, SecretUnreadable
from prosa.application.ports.unit_of_work import (
    CommitUnknown,
    StorageUnavailable,
    VersionConflict,
)
from prosa.domain.errors import ConfigurationError


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
    away is named `0009-0008`: it needs what knows 0008. Those behind it carry that on.
    """
    return revision.partition("-")[2]


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
        if isinstance(error, IntegrityError) or _state(error).startswith(LOST_RACE):
            raise VersionConflict("somebody else saved the conversation first") from error
        away = isinstance(error, OSError | TimeoutError)
        what = "cannot be reached, or has no connection free" if away else "refused or failed"
        raise StorageUnavailable(f"the database {what} ({_cause(error)})") from error


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
    """List what may come: SQLAlchemy's own, the network's, and asyncpg's, of several roots."""
    errors: tuple[type[BaseException], ...] = (SQLAlchemyError, OSError, TimeoutError)
    if asyncpg := sys.modules.get("asyncpg"):
        errors += (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError)
    return errors


def _state(error: BaseException) -> str:
    return getattr(error, "sqlstate", None) or ""


def _cause(error: BaseException) -> str:
    origin = getattr(error, "orig", None) or error
    code = _state(origin) or getattr(origin, "sqlite_errorname", "")
    return f"{type(origin).__name__} {code}".strip()


def _dialect_and_pool(address: str, password: Secret | None) -> tuple[SqlDialect, SqlPool]:
    try:
        url = make_url(address)
    except ArgumentError as error:
        raise ConfigurationError(
            "the database's address cannot be read: "
            "write sqlite+aiosqlite:///FILE or postgresql+asyncpg://USER:PASSWORD@HOST/NAME"
        ) from error
    match url.drivername:
        case "postgresql+asyncpg":
            return POSTGRES, PostgresPool(url, password)
        case "sqlite+aiosqlite":
            return SQLITE, SqlitePool(url)
        case other:
            raise ConfigurationError(
                f"no database adapter for {other!r}: "
                "there are sqlite+aiosqlite and postgresql+asyncpg"
            )
