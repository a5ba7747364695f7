"""An attempt store, seen: what is loaded and saved between two tasks has spans."""

from collections.abc import Coroutine
from typing import Any

from prosa.adapters.opentelemetry import names
from prosa.adapters.opentelemetry.database_spans import DatabaseSpans
from prosa.application.ports.attempt_store import AttemptStore
from prosa.domain.identifiers import TenantId, TurnId
from prosa.domain.turn import Attempt


class TracedAttemptStore(AttemptStore):
    """Keeps what an attempt has found; see the port."""

    def __init__(self, attempts: AttemptStore, spans: DatabaseSpans) -> None:
        self._attempts = attempts
        self._spans = spans

    def get(
        self, tenant_id: TenantId, turn_id: TurnId, number: int, *, history: int
    ) -> Coroutine[Any, Any, Attempt]:
        """Get an attempt with what its steps have saved."""
        read = self._attempts.get(tenant_id, turn_id, number, history=history)
        return self._spans.of(names.LOAD_ATTEMPT, read)

    def save(self, attempt: Attempt) -> Coroutine[Any, Any, None]:
        """Keep what the attempt has found."""
        return self._spans.of(names.SAVE_ATTEMPT, self._attempts.save(attempt))
