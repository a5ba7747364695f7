"""Turns whose attempt has crashed: they still run, and their lease has run out."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from prosa.domain.identifiers import TenantId, TurnId


@dataclass(frozen=True, slots=True, kw_only=True)
class ExpiredTurn:
    """A turn that nobody works on any more."""

    tenant_id: TenantId
    turn_id: TurnId


class ExpiredTurns(Protocol):
    """Finds crashed turns of all tenants."""

    async def find(self, *, now: datetime, limit: int) -> tuple[ExpiredTurn, ...]:
        """List running turns whose lease had run out by `now`, longest ago first.

        Raises StorageUnavailable.
        """
