"""Relay the outbox: committed events out to the bus, at least once, in order in a conversation."""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from prosa.application.ports.event_bus import EventBus, EventBusError, RefusedEvent, TryAgain
from prosa.application.ports.outbox import FailedEntry, Outbox, OutboxEntry
from prosa.domain.identifiers import Clock, EventId

logger = logging.getLogger(__name__)

BATCH = 100
LOAN = timedelta(seconds=30)
"""How long a batch is lent: what a killed relay had taken is due again that much later."""

MAX_ENVELOPE_BYTES = 200_000
"""A bus takes 256 KB or so, and counts more than the envelope. An event holds identifiers."""

TRIES = 12
FIRST_PAUSE = 5.0
LONGEST_PAUSE = 300.0
"""Seconds between two tries of a refused event: doubled each time, up to the longest."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Relayed:
    """How many events the bus took, how many it refused for now, how many were parked."""

    published: int = 0
    failed: int = 0
    parked: int = 0

    @property
    def taken(self) -> int:
        """How many were taken out of the outbox."""
        return self.published + self.failed + self.parked

    def __add__(self, other: "Relayed") -> "Relayed":
        """Count both."""
        return Relayed(
            published=self.published + other.published,
            failed=self.failed + other.failed,
            parked=self.parked + other.parked,
        )


class RelayOutbox:
    """Hands over what waits, each event after the one before it in its conversation.

    Several relays may run at once. Nothing is held while the bus is asked: a relay that dies
    between publishing and marking has its batch published once more, with the same identifiers.
    """

    def __init__(
        self, *, outbox: Outbox, event_bus: EventBus, clock: Clock, random: Callable[[], float]
    ) -> None:
        """`random` gives evenly distributed numbers from 0 up to 1."""
        self._outbox = outbox
        self._event_bus = event_bus
        self._clock = clock
        self._random = random

    async def __call__(self) -> Relayed:
        """Relay until nothing is due. Raises EventBusError and StorageUnavailable.

        Where the bus fails as a whole, nothing counts as a try: what it did not take is due again.
        """
        relayed = Relayed()
        while (batch := await self.relay_batch()).taken:
            relayed += batch
        return relayed

    async def relay_batch(self) -> Relayed:
        """Relay what is due now, at most a batch. Raises EventBusError and StorageUnavailable."""
        now = self._clock()
        entries = await self._outbox.take(limit=BATCH, now=now, until=now + LOAN)
        if not entries:
            return Relayed()
        fitting, oversized = _sorted_by_size(entries)
        refused = {one.id: one for one in await self._publish(fitting)}
        failed = [
            self._put_off(entry, refused[entry.event.id])
            for entry in fitting
            if entry.event.id in refused
        ]
        published = [entry.event.id for entry in fitting if entry.event.id not in refused]
        return await self._settle(published, failed + oversized)

    async def _publish(self, entries: Sequence[OutboxEntry]) -> Sequence[RefusedEvent]:
        """Hand them over; where the bus fails, have all of them due again at once."""
        if not entries:
            return ()
        try:
            return await self._event_bus.publish([entry.event for entry in entries])
        except EventBusError as error:
            given_back = [self._put_off(entry, _not_tried(entry, error)) for entry in entries]
            await self._outbox.settle(published=(), failed=given_back, now=self._clock())
            raise

    def _put_off(self, entry: OutboxEntry, refused: RefusedEvent) -> FailedEntry:
        """Try again later, or never: after so many tries that an outage of minutes parks nothing.

        Of each pause one half is left to chance, so that what failed together is not tried
        together; the other half is certain, and so is how long all the tries take.
        """
        if refused.try_again is TryAgain.AT_ONCE:
            return FailedEntry(refused=refused, tries=entry.tries, try_again_at=self._clock())
        tries = entry.tries + 1
        if refused.try_again is TryAgain.NEVER or tries >= TRIES:
            return FailedEntry(refused=refused, tries=tries, try_again_at=None)
        longest = min(FIRST_PAUSE * 2 ** (tries - 1), LONGEST_PAUSE)
        pause = timedelta(seconds=longest * (1 + self._random()) / 2)
        return FailedEntry(refused=refused, tries=tries, try_again_at=self._clock() + pause)

    async def _settle(self, published: Sequence[EventId], failed: Sequence[FailedEntry]) -> Relayed:
        await self._outbox.settle(published=published, failed=failed, now=self._clock())
        parked = [entry for entry in failed if entry.try_again_at is None]
        for entry in parked:
            logger.error(
                "event %s is parked after %d tries: %s",
                entry.refused.id,
                entry.tries,
                entry.refused.reason,
            )
        return Relayed(
            published=len(published), failed=len(failed) - len(parked), parked=len(parked)
        )


def _not_tried(entry: OutboxEntry, error: EventBusError) -> RefusedEvent:
    return RefusedEvent(id=entry.event.id, reason=str(error), try_again=TryAgain.AT_ONCE)


def _size(entry: OutboxEntry) -> int:
    return len(entry.event.envelope.encode())


def _sorted_by_size(
    entries: Sequence[OutboxEntry],
) -> tuple[list[OutboxEntry], list[FailedEntry]]:
    """Tell those that a bus takes from those that none will ever take."""
    fitting, oversized = [], []
    for entry in entries:
        size = _size(entry)
        if size <= MAX_ENVELOPE_BYTES:
            fitting.append(entry)
        else:
            oversized.append(_oversized(entry, size))
    return fitting, oversized


def _oversized(entry: OutboxEntry, size: int) -> FailedEntry:
    reason = f"its envelope has {size} bytes, and may have {MAX_ENVELOPE_BYTES}"
    refused = RefusedEvent(id=entry.event.id, reason=reason)
    return FailedEntry(refused=refused, tries=entry.tries, try_again_at=None)
