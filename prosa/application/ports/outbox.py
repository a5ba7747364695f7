"""The outbox: events that were committed and wait for the bus, of all tenants."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from prosa.application.ports.event_bus import PublishedEvent, RefusedEvent
from prosa.domain.identifiers import EventId


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxEntry:
    """A waiting event, and how often the bus has refused it."""

    event: PublishedEvent
    tries: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FailedEntry:
    """An entry that was not taken: how often by now, and when to try again or None to park it."""

    refused: RefusedEvent
    tries: int
    try_again_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Backlog:
    """What has not reached the bus: how many wait, since when the oldest does, how many parked."""

    waiting: int
    oldest: datetime | None
    parked: int


class Outbox(Protocol):
    """Lends entries to one relay at a time. Each method raises StorageUnavailable."""

    async def take(self, *, limit: int, now: datetime, until: datetime) -> tuple[OutboxEntry, ...]:
        """Take entries that are due, oldest first; nobody else gets them before `until`.

        An entry is due where the one before it in its conversation is published or parked. What
        is taken at once is therefore of as many conversations as entries, but for those that were
        parked and overtaken. An entry that is not settled by `until` is due again.
        """

    async def settle(
        self, *, published: Sequence[EventId], failed: Sequence[FailedEntry], now: datetime
    ) -> None:
        """Mark each entry for itself; what is published stays so, whoever says otherwise later."""

    async def backlog(self) -> Backlog:
        """Count what waits and what is parked."""

    async def unpark(self) -> int:
        """Have the parked entries tried again from the start; returns how many."""
