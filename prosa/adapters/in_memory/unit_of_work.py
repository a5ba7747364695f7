"""Units of work on state in this process."""

from dataclasses import replace
from types import TracebackType
from typing import Self

from prosa.adapters.in_memory.storage import InMemoryStorage, TenantState
from prosa.application.ports.conversation_repository import ConversationRepository
from prosa.application.ports.request_log import LoggedRequest, RequestKey, RequestLog
from prosa.application.ports.unit_of_work import UnitOfWork, VersionConflict
from prosa.domain.conversation import Conversation
from prosa.domain.errors import ConversationNotFound, KeyTaken, TurnNotFound
from prosa.domain.identifiers import ConversationId, TenantId, TurnId


class InMemoryUnitOfWork(UnitOfWork):
    """Gathers changes and applies all of them at commit."""

    def __init__(self, storage: InMemoryStorage, tenant_id: TenantId) -> None:
        self._state = storage.of(tenant_id)
        self._conversations = InMemoryConversationRepository(self._state)
        self._requests = InMemoryRequestLog(self._state)

    @property
    def conversations(self) -> "InMemoryConversationRepository":
        """The tenant's conversations."""
        return self._conversations

    @property
    def requests(self) -> "InMemoryRequestLog":
        """The tenant's idempotency keys."""
        return self._requests

    async def __aenter__(self) -> Self:
        """Be ready."""
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Forget what was gathered."""

    async def commit(self) -> None:
        """Check everything, then write everything: nothing here can fail halfway."""
        self._requests.check()
        self._conversations.check()
        self._requests.write()
        self._conversations.write()


class InMemoryConversationRepository(ConversationRepository):
    """Loads from the state, and compares versions."""

    def __init__(self, state: TenantState) -> None:
        self._state = state
        self._pending: Conversation | None = None

    async def get(self, conversation_id: ConversationId, *, history: int = 0) -> Conversation:
        """Load it."""
        return self._load(conversation_id, None, history)

    async def get_by_turn(self, turn_id: TurnId, *, history: int = 0) -> Conversation:
        """Load it."""
        turn = self._state.turns.get(turn_id)
        if turn is None:
            raise TurnNotFound(turn_id)
        return self._load(turn.conversation_id, turn_id, history)

    def add(self, conversation: Conversation) -> None:
        """Write it at commit."""
        self._pending = conversation

    def save(self, conversation: Conversation) -> None:
        """Write its changes at commit."""
        self._pending = conversation

    def check(self) -> None:
        """Raise VersionConflict where somebody else has saved."""
        if self._pending is None:
            return
        header = self._pending.header
        stored = self._state.headers.get(header.id)
        if (stored.version if stored else 0) != header.version:
            raise VersionConflict(f"conversation {header.id} was saved by somebody else")

    def write(self) -> None:
        """Apply the changes; every change has recorded an event."""
        if self._pending is None or not self._pending.changes.events:
            return
        header, changes, state = self._pending.header, self._pending.changes, self._state
        state.headers[header.id] = replace(header, version=header.version + 1)
        state.messages.setdefault(header.id, []).extend(changes.messages)
        state.turns.update(changes.turns)
        for attempt in changes.attempts:
            state.attempts[attempt.turn_id, attempt.number] = replace(attempt, history=())
        state.events.extend(changes.events)

    def _load(
        self, conversation_id: ConversationId, turn_id: TurnId | None, history: int
    ) -> Conversation:
        if conversation_id not in self._state.headers:
            raise ConversationNotFound(conversation_id)
        header = self._state.headers[conversation_id]
        wanted = {turn_id, header.running_turn_id} - {None}
        messages = self._state.messages.get(conversation_id, [])
        return Conversation.restore(
            header,
            turns=[self._state.turns[turn] for turn in wanted if turn],
            history=messages[len(messages) - min(history, len(messages)) :],
        )


class InMemoryRequestLog(RequestLog):
    """Keeps claimed keys in a dictionary."""

    def __init__(self, state: TenantState) -> None:
        self._state = state
        self._pending: list[LoggedRequest] = []

    async def find(self, key: RequestKey) -> LoggedRequest | None:
        """Look the key up."""
        return self._state.requests.get(key)

    def add(self, request: LoggedRequest) -> None:
        """Claim the key at commit."""
        self._pending.append(request)

    def check(self) -> None:
        """Raise KeyTaken where somebody was first."""
        for request in self._pending:
            if request.key in self._state.requests:
                raise KeyTaken(request.key.key)

    def write(self) -> None:
        """Claim the keys."""
        self._state.requests.update({request.key: request for request in self._pending})
