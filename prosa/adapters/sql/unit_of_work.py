"""Units of work in one transaction of the database."""

from types import TracebackType
from typing import Self

from prosa.adapters.sql.connection import SqlConnection
from prosa.adapters.sql.conversation_repository import SqlConversationRepository
from prosa.adapters.sql.database import Database, translated
from prosa.adapters.sql.request_log import SqlRequestLog
from prosa.adapters.sql.saving import Rows, SavedCounts, Write, save
from prosa.application.ports.unit_of_work import (
    CommitUnknown,
    StorageUnavailable,
    UnitOfWork,
    VersionConflict,
)
from prosa.domain.errors import KeyTaken
from prosa.domain.identifiers import TenantId


class SqlUnitOfWork(UnitOfWork):
    """Loads by one statement and saves by another, between begin and commit."""

    def __init__(self, database: Database, tenant_id: TenantId) -> None:
        self._database = database
        self._tenant_id = tenant_id

    @property
    def conversations(self) -> SqlConversationRepository:
        """The tenant's conversations."""
        return self._conversations

    @property
    def requests(self) -> SqlRequestLog:
        """The tenant's idempotency keys."""
        return self._requests

    async def __aenter__(self) -> Self:
        """Take a connection and begin."""
        self._connection: SqlConnection = await self._database.connect()
        with translated():
            try:
                await self._connection.begin()
            except BaseException:
                await self._connection.close()
                raise
        place = (self._connection, self._database.dialect, self._tenant_id)
        self._conversations = SqlConversationRepository(*place)
        self._requests = SqlRequestLog(*place)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Roll back what was not committed, and give the connection back."""
        with translated():
            await self._connection.close()

    async def commit(self) -> None:
        """Write everything that was gathered in one save, and commit."""
        rows = {**self._conversations.rows(), **self._requests.rows()}
        if rows:
            with translated():
                saved = await save(self._connection, self._database.dialect, rows)
            self._require_written(rows, saved)
        try:
            with translated():
                await self._connection.commit()
        except StorageUnavailable as error:
            raise CommitUnknown("the connection broke while committing") from error

    def _require_written(self, rows: Rows, saved: SavedCounts) -> None:
        if saved.keys != len(rows.get(Write.CLAIM_KEY, ())):
            raise KeyTaken(self._requests.key_claimed)
        if saved.conversations != len(rows.get(Write.SAVE_CONVERSATION, ())):
            raise VersionConflict("somebody else saved the conversation first")
