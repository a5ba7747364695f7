"""Units of work: each load is one statement, and so is the save."""

from collections.abc import Callable
from types import TracebackType
from typing import Self

from prosa.adapters.sql.conversation_repository import SqlConversationRepository
from prosa.adapters.sql.database import Database, committing, translated
from prosa.adapters.sql.request_log import SqlRequestLog
from prosa.adapters.sql.saving import Write, save
from prosa.application.ports.unit_of_work import UnitOfWork
from prosa.domain.identifiers import TenantId


class SqlUnitOfWork(UnitOfWork):
    """Holds a connection, and no transaction: what is written is one transaction by itself."""

    def __init__(
        self,
        database: Database,
        tenant_id: TenantId,
        on_events: Callable[[], None] | None = None,
    ) -> None:
        """`on_events` is called after a commit that put events into the outbox; it may not wait."""
        self._database = database
        self._tenant_id = tenant_id
        self._on_events = on_events
        self._loan = database.lending()

    @property
    def conversations(self) -> SqlConversationRepository:
        """The tenant's conversations."""
        return self._conversations

    @property
    def requests(self) -> SqlRequestLog:
        """The tenant's idempotency keys."""
        return self._requests

    async def __aenter__(self) -> Self:
        """Take a connection."""
        self._connection = await self._loan.__aenter__()
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
        """Give the connection back."""
        # Without the error: what the database had to do with it was translated where it happened.
        await self._loan.__aexit__(None, None, None)

    async def commit(self) -> None:
        """Write everything that was gathered, in one save."""
        rows = {**self._conversations.rows(), **self._requests.rows()}
        with translated(), committing():
            await save(self._connection, self._database.dialect, rows)
        if self._on_events and rows.get(Write.ADD_EVENTS):
            self._on_events()
