"""What drivers raise, and what it means: translated in one place."""

import sys
from contextlib import AbstractContextManager
from types import TracebackType

from prosa.application.ports.secret_store import SecretUnavailable, SecretUnreadable
from prosa.application.ports.unit_of_work import (
    CommitUnknown,
    StorageUnavailable,
    VersionConflict,
)

FIRST = "somebody else saved the conversation first"


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
        meaning = error and meaning_of(error)
        if meaning is not None:
            raise meaning from error


def meaning_of(error: BaseException) -> StorageUnavailable | VersionConflict | None:
    """Translate an error, None where it is no driver's."""
    if isinstance(error, SecretUnavailable | SecretUnreadable):
        return StorageUnavailable(f"the database's password: {error}")
    if not isinstance(error, _driver_errors()):
        return None
    # The text of a driver's error may hold values of a statement, and with them a message.
    if _breaks_constraint(error) or state_of(error).startswith(LOST_RACE):
        return VersionConflict(FIRST)
    away = isinstance(error, OSError | TimeoutError)
    what = "cannot be reached, or has no connection free" if away else "refused or failed"
    hint = ": does its server run where PROSA_DATABASE_URL leads?" if away else _hint(error)
    return StorageUnavailable(f"the database {what} ({_cause(error)}){hint}")


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
        if state_of(error).startswith(BROKEN_CONNECTION) or isinstance(error, _breaks()):
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


def state_of(error: BaseException) -> str:
    """Give the code of an error that a server reports (SQLSTATE), or nothing."""
    return getattr(error, "sqlstate", None) or ""


def _cause(error: BaseException) -> str:
    origin = getattr(error, "orig", None) or error
    return f"{type(origin).__name__} {_code(origin)}".strip()


def _code(origin: BaseException) -> str:
    return state_of(origin) or getattr(origin, "sqlite_errorname", "")


_HINTS = {
    "SQLITE_NOTADB": ": the file is no SQLite database, so have PROSA_DATABASE_URL name another",
    "28P01": ": look at user and password in PROSA_DATABASE_URL, or at PROSA_DATABASE_PASSWORD",
    "3D000": ": make the database first, or have PROSA_DATABASE_URL name another",
}


def _hint(error: BaseException) -> str:
    """Say what to do, where the settings are wrong."""
    return _HINTS.get(_code(getattr(error, "orig", None) or error), "")
