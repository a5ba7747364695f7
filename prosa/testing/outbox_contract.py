"""What every outbox promises."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from prosa.application.ports.event_bus import RefusedEvent
from prosa.application.ports.outbox import Backlog, FailedEntry, Outbox, OutboxEntry
from prosa.application.ports.unit_of_work import UnitOfWorkFactory
from prosa.domain.identifiers import EventId, TenantId
from prosa.testing.builders import (
    PROMPT,
    VirtualClock,
    a_conversation,
    a_reply,
    a_tenant,
    claim,
)

LOAN = timedelta(seconds=30)
REASON = "the bus is full"


class OutboxContract:
    """Subclass it with two fixtures, `outbox` and `units_of_work`, on the same empty storage."""

    @pytest.fixture
    def clock(self) -> VirtualClock:
        return VirtualClock()

    @pytest.fixture
    def tenant(self) -> TenantId:
        return a_tenant()

    async def test_what_was_committed_is_due_with_its_envelope(
        self,
        outbox: Outbox,
        units_of_work: UnitOfWorkFactory,
        clock: VirtualClock,
        tenant: TenantId,
    ) -> None:
        (event_id,) = await a_committed_conversation(units_of_work, clock, tenant)
        (entry,) = await take(outbox, clock)
        assert (entry.event.id, entry.event.type) == (event_id, "conversation.started.v1")
        assert f'"id":"{event_id}"' in entry.event.envelope
        assert entry.tries == 0

    async def test_what_was_not_committed_is_not_there(
        self,
        outbox: Outbox,
        units_of_work: UnitOfWorkFactory,
        clock: VirtualClock,
        tenant: TenantId,
    ) -> None:
        async with units_of_work(tenant) as work:
            work.conversations.add(a_conversation(clock, tenant))
        assert await take(outbox, clock) == ()

    async def test_the_oldest_of_all_tenants_come_first(
        self, outbox: Outbox, units_of_work: UnitOfWorkFactory, clock: VirtualClock
    ) -> None:
        expected = []
        for _ in range(4):
            clock.advance(1)
            expected += await a_committed_conversation(units_of_work, clock, a_tenant())
        assert ids(await take(outbox, clock, limit=3)) == expected[:3]
        assert ids(await take(outbox, clock, limit=3)) == expected[3:]

    async def test_of_a_conversation_an_event_waits_for_the_one_before_it(
        self,
        outbox: Outbox,
        units_of_work: UnitOfWorkFactory,
        clock: VirtualClock,
        tenant: TenantId,
    ) -> None:
        first, second, third = await a_committed_conversation(units_of_work, clock, tenant, turns=1)
        assert ids(await take(outbox, clock)) == [first]
        assert await take(outbox, clock) == ()
        await outbox.settle(published=[first], failed=(), now=clock.now)
        assert ids(await take(outbox, clock)) == [second]
        await outbox.settle(published=(), failed=[put_off(second, clock, 60)], now=clock.now)
        assert await take(outbox, clock) == ()
        clock.advance(60)
        assert ids(await take(outbox, clock)) == [second]
        await outbox.settle(published=(), failed=[parked(second)], now=clock.now)
        assert ids(await take(outbox, clock)) == [third]

    async def test_what_is_lent_is_due_again_only_when_the_loan_has_run_out(
        self,
        outbox: Outbox,
        units_of_work: UnitOfWorkFactory,
        clock: VirtualClock,
        tenant: TenantId,
    ) -> None:
        committed = await a_committed_conversation(units_of_work, clock, tenant)
        assert ids(await take(outbox, clock)) == committed
        clock.advance(LOAN.total_seconds() - 1)
        assert await take(outbox, clock) == ()
        clock.advance(1)
        again = await take(outbox, clock)
        assert ids(again) == committed
        assert again[0].tries == 0

    async def test_of_relays_that_take_at_once_each_gets_others(
        self, outbox: Outbox, units_of_work: UnitOfWorkFactory, clock: VirtualClock
    ) -> None:
        committed = []
        for _ in range(24):
            committed += await a_committed_conversation(units_of_work, clock, a_tenant())
        taken: list[EventId] = []
        while len(taken) < len(committed):
            at_once = await asyncio.gather(*(take(outbox, clock, limit=5) for _ in range(4)))
            new = [event_id for entries in at_once for event_id in ids(entries)]
            assert new, "a race may leave some, but not all, for the next time"
            taken += new
        assert sorted(taken) == sorted(committed)

    async def test_each_entry_is_marked_for_itself(
        self, outbox: Outbox, units_of_work: UnitOfWorkFactory, clock: VirtualClock
    ) -> None:
        published, refused, hopeless = [
            (await a_committed_conversation(units_of_work, clock, a_tenant()))[0] for _ in range(3)
        ]
        await take(outbox, clock)
        await outbox.settle(
            published=[published],
            failed=[put_off(refused, clock, 5), parked(hopeless)],
            now=clock.now,
        )
        assert await outbox.backlog() == Backlog(waiting=1, oldest=clock.now, parked=1)
        clock.advance(5)
        (again,) = await take(outbox, clock)
        assert (again.event.id, again.tries) == (refused, 1)

    async def test_what_is_published_stays_so_whatever_a_late_relay_says(
        self,
        outbox: Outbox,
        units_of_work: UnitOfWorkFactory,
        clock: VirtualClock,
        tenant: TenantId,
    ) -> None:
        (event_id,) = await a_committed_conversation(units_of_work, clock, tenant)
        await take(outbox, clock)
        await outbox.settle(published=[event_id], failed=(), now=clock.now)
        await outbox.settle(published=(), failed=[put_off(event_id, clock, 0)], now=clock.now)
        await outbox.settle(published=(), failed=[parked(event_id)], now=clock.now)
        assert await take(outbox, clock) == ()
        assert await outbox.backlog() == Backlog(waiting=0, oldest=None, parked=0)

    async def test_what_was_parked_is_tried_again_from_the_start(
        self,
        outbox: Outbox,
        units_of_work: UnitOfWorkFactory,
        clock: VirtualClock,
        tenant: TenantId,
    ) -> None:
        (event_id,) = await a_committed_conversation(units_of_work, clock, tenant)
        await outbox.settle(published=(), failed=[parked(event_id)], now=clock.now)
        assert await take(outbox, clock) == ()
        assert await outbox.unpark() == 1
        (again,) = await take(outbox, clock)
        assert (again.event.id, again.tries) == (event_id, 0)
        assert await outbox.unpark() == 0

    async def test_the_backlog_tells_since_when_the_oldest_waits(
        self, outbox: Outbox, units_of_work: UnitOfWorkFactory, clock: VirtualClock
    ) -> None:
        assert await outbox.backlog() == Backlog(waiting=0, oldest=None, parked=0)
        since = clock.now
        for _ in range(3):
            await a_committed_conversation(units_of_work, clock, a_tenant())
            clock.advance(10)
        assert await outbox.backlog() == Backlog(waiting=3, oldest=since, parked=0)
        (oldest,) = await take(outbox, clock, limit=1)
        await outbox.settle(published=(), failed=[parked(oldest.event.id)], now=clock.now)
        later = since + timedelta(seconds=10)
        assert await outbox.backlog() == Backlog(waiting=2, oldest=later, parked=1)


async def a_committed_conversation(
    units_of_work: UnitOfWorkFactory, clock: VirtualClock, tenant: TenantId, *, turns: int = 0
) -> list[EventId]:
    """Store a conversation; gives its events in order: one, and two more for each turn."""
    conversation = a_conversation(clock, tenant)
    for _ in range(turns):
        attempt = conversation.attempt_at(claim(conversation, clock))
        conversation.record(replace(attempt, reply=a_reply(), prompt=PROMPT), at=clock.moment)
    async with units_of_work(tenant) as work:
        work.conversations.add(conversation)
        await work.commit()
    return [event.id for event in conversation.changes.events]


async def take(outbox: Outbox, clock: VirtualClock, *, limit: int = 100) -> tuple[OutboxEntry, ...]:
    """Take what is due now."""
    return await outbox.take(limit=limit, now=clock.now, until=clock.now + LOAN)


def ids(entries: tuple[OutboxEntry, ...]) -> list[EventId]:
    """Name the entries."""
    return [entry.event.id for entry in entries]


def put_off(event_id: EventId, clock: VirtualClock, seconds: float) -> FailedEntry:
    """Have it tried again."""
    again = clock.now + timedelta(seconds=seconds)
    return FailedEntry(
        refused=RefusedEvent(id=event_id, reason=REASON), tries=1, try_again_at=again
    )


def parked(event_id: EventId) -> FailedEntry:
    """Have it tried no more."""
    return FailedEntry(refused=RefusedEvent(id=event_id, reason=REASON), tries=1, try_again_at=None)
