"""Crashed turns among those in this process."""

from datetime import datetime

from prosa.adapters.in_memory.storage import InMemoryStorage
from prosa.application.ports.expired_turns import ExpiredTurn, ExpiredTurns
from prosa.domain.turn import TurnStatus


class InMemoryExpiredTurns(ExpiredTurns):
    """Looks through all tenants' turns."""

    def __init__(self, storage: InMemoryStorage) -> None:
        self._storage = storage

    async def find(self, *, now: datetime, limit: int) -> tuple[ExpiredTurn, ...]:
        """Sort them by their lease."""
        found = sorted(
            (turn.lease_until, tenant_id, turn.id)
            for tenant_id, turn in self._storage.all_turns()
            if turn.status is TurnStatus.RUNNING and turn.lease_has_run_out(now)
        )
        return tuple(
            ExpiredTurn(tenant_id=tenant_id, turn_id=turn_id)
            for _, tenant_id, turn_id in found[:limit]
        )
