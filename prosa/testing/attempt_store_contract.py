"""What every attempt store promises."""

from dataclasses import replace

import pytest

from prosa.application.ports.attempt_store import AttemptStore
from prosa.application.ports.unit_of_work import UnitOfWorkFactory
from prosa.domain.errors import StaleAttempt, TurnNotFound
from prosa.domain.identifiers import TenantId, TurnId
from prosa.domain.intent import Intent
from prosa.domain.reply import CallPurpose
from prosa.domain.verdict import Direction, Finding
from prosa.testing.builders import PROMPT, VirtualClock, a_call, a_reply, a_tenant, claim
from prosa.testing.unit_of_work_contract import (
    a_conversation_of,
    a_running_turn,
    load,
    record,
)


class AttemptStoreContract:
    """Subclass it with two fixtures, `attempts` and `units_of_work`, on the same storage."""

    @pytest.fixture
    def clock(self) -> VirtualClock:
        return VirtualClock()

    @pytest.fixture
    def tenant(self) -> TenantId:
        return a_tenant()

    async def test_an_attempt_nobody_saved_is_fresh_and_has_its_history(
        self,
        attempts: AttemptStore,
        units_of_work: UnitOfWorkFactory,
        clock: VirtualClock,
        tenant: TenantId,
    ) -> None:
        conversation = await a_conversation_of(3, units_of_work, clock, tenant)
        async with units_of_work(tenant) as work:
            got = await work.conversations.get(conversation.header.id, history=3)
            turn = claim(got, clock, "e agora?")
            expected = got.attempt_at(turn)
            work.conversations.save(got)
            await work.commit()
        found = await attempts.get(tenant, turn.id, 1, history=4)
        assert found == expected
        assert [message.text for message in found.history] == ["a 1", "q 2", "a 2", "e agora?"]

    async def test_what_the_steps_found_comes_back(
        self,
        attempts: AttemptStore,
        units_of_work: UnitOfWorkFactory,
        clock: VirtualClock,
        tenant: TenantId,
    ) -> None:
        _, running = await a_running_turn(units_of_work, clock, tenant)
        attempt = await attempts.get(tenant, running.id, 1, history=10)
        classified = replace(attempt, intent=Intent(name="refund", confidence=0.5), calls_made=1)
        await attempts.save(classified)
        assert await attempts.get(tenant, running.id, 1, history=10) == classified
        generated = replace(
            classified,
            prompt=PROMPT,
            reply=a_reply("Olá! Já devolvemos."),
            findings=(Finding(direction=Direction.OUTBOUND, rule="api_key", blocked=False),),
            calls=(a_call(CallPurpose.CLASSIFY), a_call()),
            calls_made=2,
            said="Olá! ",
        )
        await attempts.save(generated)
        assert await attempts.get(tenant, running.id, 1, history=10) == generated

    async def test_an_attempt_that_lost_its_turn_is_stale(
        self,
        attempts: AttemptStore,
        units_of_work: UnitOfWorkFactory,
        clock: VirtualClock,
        tenant: TenantId,
    ) -> None:
        conversation, running = await a_running_turn(units_of_work, clock, tenant)
        with pytest.raises(StaleAttempt):
            await attempts.get(tenant, running.id, 2, history=10)
        await record(units_of_work, conversation, running, clock)
        with pytest.raises(StaleAttempt):
            await attempts.get(tenant, running.id, 1, history=10)

    async def test_a_recorded_turn_may_have_been_saved_step_by_step_before(
        self,
        attempts: AttemptStore,
        units_of_work: UnitOfWorkFactory,
        clock: VirtualClock,
        tenant: TenantId,
    ) -> None:
        conversation, running = await a_running_turn(units_of_work, clock, tenant)
        await attempts.save(await attempts.get(tenant, running.id, 1, history=10))
        await record(units_of_work, conversation, running, clock)
        assert (await load(units_of_work, conversation)).header.message_count == 2

    async def test_another_tenant_sees_no_attempt(
        self,
        attempts: AttemptStore,
        units_of_work: UnitOfWorkFactory,
        clock: VirtualClock,
        tenant: TenantId,
    ) -> None:
        _, running = await a_running_turn(units_of_work, clock, tenant)
        with pytest.raises(TurnNotFound):
            await attempts.get(a_tenant(), running.id, 1, history=10)

    async def test_an_attempt_of_no_turn_is_not_found(
        self, attempts: AttemptStore, tenant: TenantId
    ) -> None:
        with pytest.raises(TurnNotFound):
            await attempts.get(tenant, TurnId("turn_" + "0" * 32), 1, history=1)
