"""Units of work: each load is one statement, and so is the save."""

from collections.abc import Callable
from types import TracebackType
from typing import Self

from prosa.adapters.sql.conversation_repository import SqlConversationRepository
from prosa.adapters.sql.database import Database
from prosa.adapters.sql.request_log import SqlRequestLog
from prosa.adapters.sql.saving import Write
from prosa.application.ports.unit_of_work import UnitOfWork
from prosa.domain.identifiers import TenantId


class SqlUnitOfWork(UnitOfWork):
    """Holds neither a connection nor a transaction: what it writes is one transaction by itself."""

    def __init__(
        self,
        database: Database,
        tenant_id: TenantId,
        on_events: Callable[[], None] | None = None,
    ) -> None:
        """`on_events` is called after a commit that put events into the outbox; it may not wait."""
        self._database = database
        self._on_events = on_events
        self._conversations = SqlConversationRepository(database, tenant_id)
        self._requests = SqlRequestLog(database, tenant_id)

    @property
    def conversations(self) -> SqlConversationRepository:
        """The tenant's conversations."""
        return self._conversations

    @property
    def requests(self) -> SqlRequestLog:
        """The tenant's idempotency keys."""
        return self._requests

    async def __aenter__(self) -> Self:
        """Begin: a connection is borrowed when there is something to ask or to write."""
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End."""

    async def commit(self) -> None:
        """Write everything that was gathered, in one save."""
        rows = {**self._conversations.rows(), **self._requests.rows()}
        await self._database.save(rows)
        if self._on_events and rows.get(Write.ADD_EVENTS):
            self._on_events()
