"""Attempts at turns between two steps that do not share a process."""

from typing import Protocol

from prosa.domain.identifiers import TenantId, TurnId
from prosa.domain.turn import Attempt


class AttemptStore(Protocol):
    """Keeps what an attempt has found so far."""

    async def get(
        self, tenant_id: TenantId, turn_id: TurnId, number: int, *, history: int
    ) -> Attempt:
        """Get an attempt with what its steps have saved, and the newest `history` messages.

        The history ends with the turn's message. Raises TurnNotFound, and StaleAttempt where the
        turn is not running or another attempt owns it.
        """

    async def save(self, attempt: Attempt) -> None:
        """Keep what the attempt has found. Its history is not kept: it is the conversation's."""
