"""The database: lends connections, loads conversations, and saves."""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Any

from prosa.adapters.sql.compiled import compiled
from prosa.adapters.sql.connection import PostgresPool, SqlConnection, SqlPool
from prosa.adapters.sql.dialect import POSTGRES, SQLITE, SqlDialect
from prosa.adapters.sql.driver_errors import committing, translated
from prosa.adapters.sql.group_commit import GroupCommit
from prosa.adapters.sql.group_load import GroupLoad
from prosa.adapters.sql.postgres_address import UNREADABLE
from prosa.adapters.sql.saving import Rows, save_in_a_transaction
from prosa.application.ports.secret_store import Secret
from prosa.domain.errors import ConfigurationError
from prosa.domain.identifiers import ConversationId, TenantId

SCHEMA_REVISION = "0002"
"""The migration that makes the tables what they are. Revisions are numbers that ascend."""


class Database:
    """A database by its address: `postgresql+asyncpg://…` or `sqlite+aiosqlite:///file`.

    Making one connects to nothing. Raises ConfigurationError where the address is no such thing.
    """

    def __init__(self, url: str, *, password: Secret | None = None) -> None:
        """`password` takes the place of one in the address; SQLite has none."""
        self.dialect, self._pool = _dialect_and_pool(url, password)
        self._group_load = GroupLoad(self.lending)
        self._group_commit = GroupCommit(self.lending)

    def lending(self) -> AbstractAsyncContextManager[SqlConnection]:
        """Lend a connection. Raises StorageUnavailable or VersionConflict for what goes wrong."""
        return _Lending(self._pool.lend())

    async def load(
        self, tenant_id: TenantId, conversation_id: ConversationId, history: int
    ) -> Sequence[Any] | None:
        """Load the header's columns, the turn that runs, and the newest `history` messages.

        Raises StorageUnavailable.
        """
        if self.dialect.is_postgres:
            found: Sequence[Any] | None = await self._group_load.load(
                tenant_id, conversation_id, history
            )
            return found
        statement = compiled(self.dialect, "loading.by_id")
        values = statement.values(
            tenant_id=tenant_id, conversation_id=conversation_id, history=history
        )
        async with self.lending() as connection:
            rows = await connection.fetch(statement.sql, values)
        return rows[0] if rows else None

    async def save(self, rows: Rows) -> None:
        """Write rows together, or nothing of them.

        Raises KeyTaken, VersionConflict, StorageUnavailable and CommitUnknown.
        """
        if not any(rows.values()):
            return
        if self.dialect.is_postgres:
            await self._group_commit.save(rows)
            return
        async with self.lending() as connection:
            with committing():
                await save_in_a_transaction(connection, rows)

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
