"""Relaying the outbox: what is committed reaches the bus, in order, however the bus behaves."""

import asyncio
import logging
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from prosa.adapters.event_format import envelope_of
from prosa.adapters.in_memory.event_bus import Answer, RecordingEventBus
from prosa.adapters.in_memory.outbox import InMemoryOutbox
from prosa.adapters.in_memory.storage import InMemoryStorage
from prosa.application.ports.event_bus import (
    LONGEST_PUBLISH_SECONDS,
    EventBusError,
    PublishedEvent,
    TryAgain,
)
from prosa.application.ports.outbox import FailedEntry, OutboxEntry
from prosa.application.ports.unit_of_work import StorageUnavailable
from prosa.application.relay_outbox import (
    BATCH,
    LOAN,
    LONGEST_PAUSE,
    MAX_ENVELOPE_BYTES,
    TRIES,
    Relayed,
    RelayOutbox,
)
from prosa.domain.events import ConversationClosed
from prosa.domain.identifiers import ConversationId, EventId
from prosa.testing.builders import VirtualClock
from tests.application.service import TENANT

FULL = "the bus is full"
AWAY = "the bus cannot be reached"


class Relaying:
    """A relay over events that happen when a test says so."""

    def __init__(
        self,
        *,
        chance: Callable[[], float] = lambda: 0.0,
        outbox: type[InMemoryOutbox] = InMemoryOutbox,
    ) -> None:
        self.clock = VirtualClock()
        self.storage = InMemoryStorage()
        self.outbox = outbox(self.storage)
        self.bus = RecordingEventBus()
        self._chance = chance
        self.relay = self.another()
        self._counted: defaultdict[str, int] = defaultdict(int)

    def another(self, outbox: InMemoryOutbox | None = None) -> RelayOutbox:
        """Make a relay of another process."""
        return RelayOutbox(
            outbox=outbox or self.outbox,
            event_bus=self.bus,
            clock=self.clock,
            random=self._chance,
        )

    def happen(self, conversation: str = "a", *, at: datetime | None = None) -> EventId:
        """Commit an event of a conversation."""
        self._counted[conversation] += 1
        event = ConversationClosed(
            id=EventId(f"evt_{conversation}{self._counted[conversation]}"),
            tenant_id=TENANT,
            conversation_id=ConversationId(f"conv_{conversation}"),
            sequence=self._counted[conversation],
            occurred_at=at or self.clock.now,
            message_count=0,
        )
        self.storage.of(TENANT).events.append(event)
        return event.id

    @property
    def arrived(self) -> list[EventId]:
        """What the bus took, in order."""
        return [event.id for event in self.bus.published]

    def due_in(self, event_id: EventId) -> float:
        """Seconds until an event may be tried again."""
        again = self.storage.relaying[event_id].next_try_at
        assert again is not None
        return (again - self.clock.now).total_seconds()


def refusing(*ids: EventId, reason: str = FULL) -> Answer:
    """Have the bus refuse some events."""

    def answer(event: PublishedEvent) -> str | None:
        return reason if event.id in ids else None

    return answer


async def test_everything_that_waits_is_published_in_order() -> None:
    relaying = Relaying()
    ids = [relaying.happen() for _ in range(3)]
    assert await relaying.relay() == Relayed(published=3)
    assert relaying.arrived == ids
    assert await relaying.relay() == Relayed()


async def test_the_envelope_arrives_as_it_was_written() -> None:
    relaying = Relaying()
    relaying.happen()
    await relaying.relay()
    (event,) = relaying.storage.of(TENANT).events
    assert relaying.bus.published[0].envelope == envelope_of(event)


async def test_more_than_a_batch_is_published_in_batches() -> None:
    relaying = Relaying()
    for number in range(BATCH + 1):
        relaying.happen(f"c{number}-")
    assert await relaying.relay.relay_batch() == Relayed(published=BATCH)
    assert await relaying.relay() == Relayed(published=1)


async def test_only_what_was_refused_is_tried_again() -> None:
    relaying = Relaying()
    ids = [relaying.happen(f"c{number}-") for number in range(10)]
    relaying.bus.script.append(refusing(ids[3], ids[7]))
    assert await relaying.relay() == Relayed(published=8, failed=2)
    relaying.clock.advance(LONGEST_PAUSE)
    assert await relaying.relay() == Relayed(published=2)
    assert sorted(relaying.arrived) == sorted(ids)


async def test_what_follows_a_refused_event_waits_for_it_and_other_conversations_do_not() -> None:
    relaying = Relaying()
    first, second = relaying.happen("a"), relaying.happen("a")
    other = relaying.happen("b")
    relaying.bus.script.append(refusing(first))
    await relaying.relay()
    assert relaying.arrived == [other]
    relaying.clock.advance(LONGEST_PAUSE)
    await relaying.relay()
    assert relaying.arrived == [other, first, second]


async def test_the_pauses_between_tries_grow_up_to_a_maximum() -> None:
    relaying = Relaying()
    event_id = relaying.happen()
    pauses = []
    for _ in range(TRIES - 1):
        relaying.bus.script.append(refusing(event_id))
        await relaying.relay()
        pauses.append(relaying.due_in(event_id))
        relaying.clock.advance(pauses[-1])
    assert pauses[:4] == [2.5, 5, 10, 20]
    assert pauses[-1] == LONGEST_PAUSE / 2
    assert pauses == sorted(pauses)


async def test_half_of_a_pause_is_left_to_chance() -> None:
    relaying = Relaying(chance=lambda: 0.5)
    event_id = relaying.happen()
    relaying.bus.script.append(refusing(event_id))
    await relaying.relay()
    assert relaying.due_in(event_id) == 3.75


async def test_what_is_refused_again_and_again_is_parked_with_an_alarm_and_the_next_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    relaying = Relaying()
    poison, following = relaying.happen(), relaying.happen()
    began = relaying.clock.now
    for tries in range(1, TRIES + 1):
        relaying.bus.script.append(refusing(poison, reason="no such detail type"))
        relayed = await relaying.relay.relay_batch()
        assert relayed == (Relayed(failed=1) if tries < TRIES else Relayed(parked=1))
        relaying.clock.advance(relaying.due_in(poison) if relayed.failed else 0)
    assert relaying.clock.now - began > timedelta(minutes=10)
    assert relaying.storage.relaying[poison].last_error == "no such detail type"
    (alarm,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert alarm.getMessage() == (
        f"event {poison} is parked after {TRIES} tries: no such detail type"
    )
    await relaying.relay()
    assert relaying.arrived == [following]


async def test_what_was_parked_is_published_when_it_is_taken_up_again() -> None:
    relaying = Relaying()
    poison = relaying.happen()
    for _ in range(TRIES):
        relaying.bus.script.append(refusing(poison))
        await relaying.relay()
        relaying.clock.advance(LONGEST_PAUSE)
    assert await relaying.outbox.unpark() == 1
    assert await relaying.relay() == Relayed(published=1)


async def test_a_bus_that_is_away_as_a_whole_parks_nothing_and_is_drained_in_order() -> None:
    relaying = Relaying()
    ids = [relaying.happen() for _ in range(3)]
    for _ in range(10 * TRIES):
        relaying.bus.script.append(EventBusError(AWAY))
        with pytest.raises(EventBusError, match=AWAY):
            await relaying.relay()
        relaying.clock.advance(5)
        ids.append(relaying.happen())
    assert await relaying.relay() == Relayed(published=len(ids))
    assert relaying.arrived == ids
    assert {relaying.storage.relaying[event_id].tries for event_id in ids} == {0}


class SwollenOutbox(InMemoryOutbox):
    """Holds one event that is larger than any real one."""

    envelope = ""

    async def take(self, *, limit: int, now: datetime, until: datetime) -> tuple[OutboxEntry, ...]:
        entries = await super().take(limit=limit, now=now, until=until)
        return tuple(
            replace(entry, event=replace(entry.event, envelope=self.envelope))
            if entry.event.id == "evt_large1"
            else entry
            for entry in entries
        )


@pytest.mark.parametrize("too_many", [0, 1])
async def test_an_event_of_too_many_bytes_is_parked_at_once(
    too_many: int, caplog: pytest.LogCaptureFixture
) -> None:
    relaying = Relaying(outbox=SwollenOutbox)
    SwollenOutbox.envelope = "é" * (MAX_ENVELOPE_BYTES // 2) + "x" * too_many
    large, small = relaying.happen("large"), relaying.happen("small")
    assert await relaying.relay() == Relayed(published=2 - too_many, parked=too_many)
    assert relaying.arrived == ([small] if too_many else [large, small])
    assert [record.getMessage() for record in caplog.records] == [
        f"event {large} is parked after 0 tries: its envelope has 200001 bytes, and may have 200000"
    ] * too_many
    assert "é" not in caplog.text


async def test_what_no_bus_will_ever_take_is_parked_at_once_and_the_next_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    relaying = Relaying()
    refused, behind = relaying.happen(), relaying.happen()
    relaying.bus.script.append(refusing(refused))
    relaying.bus.try_again = TryAgain.NEVER
    assert await relaying.relay() == Relayed(published=1, parked=1)
    assert relaying.arrived == [behind]
    assert f"event {refused} is parked after 1 tries: {FULL}" in caplog.text


async def test_what_the_bus_was_not_asked_for_is_due_at_once_and_was_not_tried() -> None:
    relaying = Relaying()
    left = relaying.happen()
    relaying.bus.try_again = TryAgain.AT_ONCE
    relaying.bus.script.extend([refusing(left)] * (TRIES + 1))
    for _ in range(TRIES + 1):
        assert await relaying.relay.relay_batch() == Relayed(failed=1)
    assert await relaying.relay() == Relayed(published=1)


def test_a_bus_has_less_time_than_the_outbox_lends_its_events_for() -> None:
    assert timedelta(seconds=LONGEST_PUBLISH_SECONDS) + timedelta(seconds=3) < LOAN


async def test_the_bus_is_not_asked_for_nothing() -> None:
    relaying = Relaying(outbox=SwollenOutbox)
    SwollenOutbox.envelope = "x" * (MAX_ENVELOPE_BYTES + 1)
    relaying.happen("large")
    relaying.bus.script.append(EventBusError(AWAY))
    assert await relaying.relay() == Relayed(parked=1)


async def test_a_relay_killed_before_it_marks_has_its_events_published_again_the_same() -> None:
    relaying = Relaying()
    ids = [relaying.happen(), relaying.happen("b")]
    with pytest.raises(StorageUnavailable):
        await relaying.another(outbox=UnmarkedOutbox(relaying.storage))()
    assert relaying.arrived == ids
    assert await relaying.relay() == Relayed()
    relaying.clock.advance(LOAN.total_seconds())
    assert await relaying.relay() == Relayed(published=2)
    assert relaying.arrived == ids * 2
    first, again = relaying.bus.published[:2], relaying.bus.published[2:]
    assert first == again


class UnmarkedOutbox(InMemoryOutbox):
    """Is gone when something is to be marked."""

    async def settle(
        self, *, published: Sequence[EventId], failed: Sequence[FailedEntry], now: datetime
    ) -> None:
        del published, failed, now
        raise StorageUnavailable("the database cannot be reached")


async def test_of_several_relays_at_once_each_publishes_others() -> None:
    relaying = Relaying()
    ids = [relaying.happen(f"c{number % 7}-") for number in range(BATCH * 3)]
    await asyncio.gather(*(relaying.another()() for _ in range(3)))
    assert sorted(relaying.arrived) == sorted(ids)
    for number in range(7):
        one = [event_id for event_id in relaying.arrived if f"c{number}-" in event_id]
        assert one == [event_id for event_id in ids if f"c{number}-" in event_id]


async def test_what_is_committed_late_is_published_too() -> None:
    relaying = Relaying()
    long_ago = relaying.clock.now - timedelta(minutes=1)
    relaying.happen("soon")
    await relaying.relay()
    late = relaying.happen("late", at=long_ago)
    await relaying.relay()
    assert relaying.arrived[-1] == late
