"""Attempts kept in this process."""

from dataclasses import replace

from prosa.adapters.in_memory.storage import InMemoryStorage
from prosa.application.ports.attempt_store import AttemptStore
from prosa.domain.conversation import Conversation
from prosa.domain.errors import StaleAttempt, TurnNotFound
from prosa.domain.identifiers import TenantId, TurnId
from prosa.domain.turn import Attempt, TurnStatus


class InMemoryAttemptStore(AttemptStore):
    """Keeps attempts beside the conversations they belong to."""

    def __init__(self, storage: InMemoryStorage) -> None:
        self._storage = storage

    async def get(
        self, tenant_id: TenantId, turn_id: TurnId, number: int, *, history: int
    ) -> Attempt:
        """Put what was saved and the conversation's history together."""
        state = self._storage.of(tenant_id)
        turn = state.turns.get(turn_id)
        if turn is None:
            raise TurnNotFound(turn_id)
        if turn.status is not TurnStatus.RUNNING or turn.attempt != number:
            raise StaleAttempt(turn_id, number)
        messages = state.messages[turn.conversation_id]
        header = state.headers[turn.conversation_id]
        newest = messages[len(messages) - min(history, len(messages)) :]
        fresh = Conversation.restore(header, turns=[turn], history=newest).attempt_at(turn)
        saved = state.attempts.get((turn_id, number))
        return fresh if saved is None else replace(saved, history=fresh.history)

    async def save(self, attempt: Attempt) -> None:
        """Keep it; the newest save wins."""
        state = self._storage.of(attempt.tenant_id)
        state.attempts[attempt.turn_id, attempt.number] = replace(attempt, history=())
