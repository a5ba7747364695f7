"""The outbox of state in this process."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from prosa.adapters.event_format import envelope_of, type_of
from prosa.adapters.in_memory.storage import InMemoryStorage, Relaying
from prosa.application.ports.event_bus import PublishedEvent
from prosa.application.ports.outbox import Backlog, FailedEntry, Outbox, OutboxEntry
from prosa.domain.events import Event
from prosa.domain.identifiers import EventId


class InMemoryOutbox(Outbox):
    """Lends what in-memory units of work have committed."""

    def __init__(self, storage: InMemoryStorage) -> None:
        self._storage = storage
        self._relaying = storage.relaying

    async def take(self, *, limit: int, now: datetime, until: datetime) -> tuple[OutboxEntry, ...]:
        """Put off when they may be tried next: that is the loan."""
        waiting = self._waiting()
        places = {(event.conversation_id, event.sequence) for event in waiting}
        due = [
            event
            for event in waiting
            if (event.conversation_id, event.sequence - 1) not in places
            and (self._relaying[event.id].next_try_at or now) <= now
        ]
        due.sort(key=lambda event: event.occurred_at)
        return tuple(self._lend(event, until) for event in due[:limit])

    async def settle(
        self, *, published: Sequence[EventId], failed: Sequence[FailedEntry], now: datetime
    ) -> None:
        """Mark each entry."""
        for event_id in published:
            self._mark(event_id, replace(self._relaying[event_id], published_at=now))
        for entry in failed:
            relaying = Relaying(
                tries=entry.tries,
                next_try_at=entry.try_again_at,
                parked_at=now if entry.try_again_at is None else None,
                last_error=entry.refused.reason,
            )
            self._mark(entry.refused.id, relaying)

    async def backlog(self) -> Backlog:
        """Count."""
        waiting = self._waiting()
        return Backlog(
            waiting=len(waiting),
            oldest=min((event.occurred_at for event in waiting), default=None),
            parked=len(self._parked()),
        )

    async def unpark(self) -> int:
        """Start them afresh."""
        parked = self._parked()
        self._relaying.update(dict.fromkeys(parked, Relaying()))
        return len(parked)

    def _waiting(self) -> list[Event]:
        return [event for event in self._storage.all_events() if self._relaying[event.id].waits]

    def _parked(self) -> list[EventId]:
        return [
            event_id
            for event_id, relaying in self._relaying.items()
            if relaying.parked_at is not None and relaying.published_at is None
        ]

    def _lend(self, event: Event, until: datetime) -> OutboxEntry:
        relaying = self._relaying[event.id]
        self._relaying[event.id] = replace(relaying, next_try_at=until)
        published = PublishedEvent(id=event.id, type=type_of(event), envelope=envelope_of(event))
        return OutboxEntry(event=published, tries=relaying.tries)

    def _mark(self, event_id: EventId, relaying: Relaying) -> None:
        if self._relaying[event_id].published_at is None:
            self._relaying[event_id] = relaying
