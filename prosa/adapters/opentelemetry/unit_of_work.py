"""Units of work, seen: each round trip has a span. Where no trace is kept, they are left alone."""

from types import TracebackType
from typing import Self

from prosa.adapters.opentelemetry import names
from prosa.adapters.opentelemetry.database_spans import DatabaseSpans
from prosa.adapters.opentelemetry.spans import Stored, is_kept
from prosa.application.ports.conversation_repository import ConversationRepository
from prosa.application.ports.request_log import LoggedRequest, RequestKey, RequestLog
from prosa.application.ports.unit_of_work import UnitOfWork, UnitOfWorkFactory
from prosa.domain.conversation import Conversation
from prosa.domain.identifiers import ConversationId, TenantId, TurnId


class TracedUnitsOfWork(UnitOfWorkFactory):
    """Makes units of work."""

    def __init__(self, make: UnitOfWorkFactory, spans: DatabaseSpans) -> None:
        self._make = make
        self._spans = spans

    def __call__(self, tenant_id: TenantId) -> UnitOfWork:
        """Make one for a tenant."""
        work = self._make(tenant_id)
        return TracedUnitOfWork(work, self._spans) if is_kept() else work


class TracedUnitOfWork(UnitOfWork):
    """A unit of work within a trace that is kept."""

    def __init__(self, work: UnitOfWork, spans: DatabaseSpans) -> None:
        self._work = work
        self._spans = spans

    @property
    def conversations(self) -> ConversationRepository:
        """The tenant's conversations."""
        return _TracedConversations(self._work.conversations, self._spans)

    @property
    def requests(self) -> RequestLog:
        """The tenant's idempotency keys."""
        return _TracedRequests(self._work.requests, self._spans)

    async def __aenter__(self) -> Self:
        """Be ready to load and to gather."""
        with self._spans(names.CONNECT):
            await self._work.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Forget what was not committed."""
        await self._work.__aexit__(exc_type, exc, traceback)

    async def commit(self) -> None:
        """Write all that was added and saved; the events tell of the span."""
        with self._spans(names.COMMIT) as span, Stored(span):
            await self._work.commit()


class _TracedConversations(ConversationRepository):
    def __init__(self, conversations: ConversationRepository, spans: DatabaseSpans) -> None:
        self._conversations = conversations
        self._spans = spans

    async def get(self, conversation_id: ConversationId, *, history: int = 0) -> Conversation:
        with self._spans(names.LOAD):
            return await self._conversations.get(conversation_id, history=history)

    async def get_by_turn(self, turn_id: TurnId, *, history: int = 0) -> Conversation:
        with self._spans(names.LOAD):
            return await self._conversations.get_by_turn(turn_id, history=history)

    def add(self, conversation: Conversation) -> None:
        self._conversations.add(conversation)

    def save(self, conversation: Conversation) -> None:
        self._conversations.save(conversation)


class _TracedRequests(RequestLog):
    def __init__(self, requests: RequestLog, spans: DatabaseSpans) -> None:
        self._requests = requests
        self._spans = spans

    async def find(self, key: RequestKey) -> LoggedRequest | None:
        with self._spans(names.FIND_KEY):
            return await self._requests.find(key)

    def add(self, request: LoggedRequest) -> None:
        self._requests.add(request)
