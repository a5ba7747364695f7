"""What every adapter of ExpiredTurns keeps; subclass it, and give the two fixtures."""

from datetime import timedelta

import pytest

from prosa.application.ports.expired_turns import ExpiredTurn, ExpiredTurns
from prosa.application.ports.unit_of_work import UnitOfWorkFactory
from prosa.domain.identifiers import TenantId
from prosa.domain.turn import Turn
from prosa.testing.builders import VirtualClock, a_conversation, a_tenant, claim

MANY = 10_000
"""More than there are, also of tenants that other tests have left."""

A_MOMENT = timedelta(microseconds=1)


class ExpiredTurnsContract:
    """`units_of_work` and `expired_turns` are on the same storage."""

    @pytest.fixture
    def clock(self) -> VirtualClock:
        return VirtualClock()

    async def test_a_turn_is_found_from_the_end_of_its_lease_on(
        self, units_of_work: UnitOfWorkFactory, expired_turns: ExpiredTurns, clock: VirtualClock
    ) -> None:
        tenant = a_tenant()
        turn = await a_running_turn(units_of_work, clock, tenant)
        expired = ExpiredTurn(tenant_id=tenant, turn_id=turn.id)
        before = await expired_turns.find(now=turn.lease_until - A_MOMENT, limit=MANY)
        assert expired not in before
        assert expired in await expired_turns.find(now=turn.lease_until, limit=MANY)

    async def test_turns_of_all_tenants_are_found_longest_expired_first(
        self, units_of_work: UnitOfWorkFactory, expired_turns: ExpiredTurns, clock: VirtualClock
    ) -> None:
        tenants = sorted((a_tenant() for _ in range(3)), reverse=True)
        turns = []
        for tenant in tenants:
            turns.append(await a_running_turn(units_of_work, clock, tenant))
            clock.advance(1)
        found = await expired_turns.find(now=turns[-1].lease_until, limit=MANY)
        mine = [each for each in found if each.tenant_id in tenants]
        assert [each.turn_id for each in mine] == [turn.id for turn in turns]

    async def test_no_more_are_found_than_asked_for(
        self, units_of_work: UnitOfWorkFactory, expired_turns: ExpiredTurns, clock: VirtualClock
    ) -> None:
        for _ in range(3):
            turn = await a_running_turn(units_of_work, clock, a_tenant())
        assert len(await expired_turns.find(now=turn.lease_until, limit=2)) == 2

    async def test_a_turn_that_has_ended_is_not_found(
        self, units_of_work: UnitOfWorkFactory, expired_turns: ExpiredTurns, clock: VirtualClock
    ) -> None:
        tenant = a_tenant()
        turn = await a_running_turn(units_of_work, clock, tenant)
        async with units_of_work(tenant) as work:
            conversation = await work.conversations.get_by_turn(turn.id)
            conversation.fail(
                conversation.attempt_at(turn), code="tired", retryable=True, at=clock.moment
            )
            work.conversations.save(conversation)
            await work.commit()
        found = await expired_turns.find(now=turn.lease_until, limit=MANY)
        assert ExpiredTurn(tenant_id=tenant, turn_id=turn.id) not in found


async def a_running_turn(
    units_of_work: UnitOfWorkFactory, clock: VirtualClock, tenant: TenantId
) -> Turn:
    """Store a conversation with a running turn."""
    conversation = a_conversation(clock, tenant)
    turn = claim(conversation, clock)
    async with units_of_work(tenant) as work:
        work.conversations.add(conversation)
        await work.commit()
    return turn
