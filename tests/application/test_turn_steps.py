"""The steps of a turn as tasks: from what is stored to what is stored, once and again."""

import pytest

from prosa.adapters.in_memory.attempt_store import InMemoryAttemptStore
from prosa.adapters.in_memory.language_model import Hang
from prosa.application.ports.language_model import (
    CALLS_PER_ATTEMPT,
    ContextTooLong,
    ModelUnavailable,
)
from prosa.application.ports.turn_runner import AttemptId
from prosa.application.ports.unit_of_work import StorageUnavailable
from prosa.application.turn_steps import TurnSteps
from prosa.domain.errors import DeadlineExceeded, StaleAttempt, TurnNotFound
from prosa.domain.identifiers import TurnId
from prosa.domain.turn import Attempt, Turn, TurnStatus
from tests.application.service import TENANT, Service, a_message


class LosingStore(InMemoryAttemptStore):
    """Gives attempts, and keeps none."""

    async def save(self, attempt: Attempt) -> None:
        """Keep nothing of it."""
        raise StorageUnavailable(f"away, and {attempt.turn_id} is lost")


async def accepted(service: Service, wait_seconds: float | None = None) -> AttemptId:
    """Claim a turn."""
    taken = await service.accept(a_message(wait_seconds=wait_seconds))
    return AttemptId(tenant_id=TENANT, turn_id=taken.turn.id, number=1)


async def turn_of(service: Service, attempt: AttemptId) -> Turn:
    """Read an attempt's turn."""
    return await service.reader.get_turn(TENANT, attempt.turn_id)


async def test_the_steps_one_after_the_other_take_a_turn() -> None:
    service = Service("Claro!")
    attempt = await accepted(service)
    for step in (service.steps.classify, service.steps.generate, service.steps.record):
        await step(attempt)

    turn = await turn_of(service, attempt)
    assert turn.status is TurnStatus.COMPLETED
    assert turn.intent is not None
    assert turn.reply is not None
    assert turn.reply.text == "Claro!"


async def test_each_step_may_come_again_and_changes_nothing() -> None:
    service = Service("Claro!", always="Outra coisa.")
    attempt = await accepted(service)
    for step in (service.steps.classify, service.steps.generate, service.steps.record):
        await step(attempt)
        before = list(service.state.events)
        await step(attempt)
        assert service.state.events == before

    assert len(service.classifier.requests) == 1
    assert len(service.model.requests) == 1
    turn = await turn_of(service, attempt)
    assert service.texts(turn.conversation_id)[1:] == ["Claro!"]


async def test_a_failure_may_come_again_and_counts_once() -> None:
    service = Service()
    attempt = await accepted(service)
    await service.steps.fail(attempt, ModelUnavailable)
    failed = await turn_of(service, attempt)
    await service.steps.fail(attempt, ModelUnavailable)

    assert failed.failures == 1
    assert await turn_of(service, attempt) == failed


async def test_a_turn_that_ended_otherwise_makes_every_step_stale() -> None:
    service = Service()
    steps = service.steps
    failed, completed = await accepted(service), await accepted(service)
    await steps.fail(failed, ContextTooLong)
    await steps.generate(completed)
    await steps.record(completed)

    for step in (steps.classify, steps.generate, steps.record):
        with pytest.raises(StaleAttempt):
            await step(failed)
    with pytest.raises(StaleAttempt):
        await steps.fail(completed, ModelUnavailable)


async def test_a_step_of_no_turn_is_not_found() -> None:
    nobodys = AttemptId(tenant_id=TENANT, turn_id=TurnId("turn_" + "0" * 32), number=1)
    with pytest.raises(TurnNotFound):
        await Service().steps.record(nobodys)


async def test_what_a_failed_generation_spent_is_kept_and_spent_for_good() -> None:
    service = Service(*[ModelUnavailable("down")] * CALLS_PER_ATTEMPT)
    attempt = await accepted(service)
    for _ in range(CALLS_PER_ATTEMPT + 1):
        with pytest.raises(ModelUnavailable):
            await service.steps.generate(attempt)

    assert len(service.model.requests) == CALLS_PER_ATTEMPT
    await service.steps.fail(attempt, ModelUnavailable)
    assert service.state.attempts[attempt.turn_id, 1].calls_made == CALLS_PER_ATTEMPT


async def test_why_a_generation_failed_is_told_also_where_what_it_spent_cannot_be_stored() -> None:
    service = Service(ModelUnavailable("down"))
    attempt = await accepted(service)
    steps = TurnSteps(
        take_turn=service.take_turn,
        attempts=LosingStore(service.storage),
        reader=service.reader,
        policy=service.policy,
        clock=service.clock,
    )
    with pytest.raises(ModelUnavailable):
        await steps.generate(attempt)


async def test_a_generation_ends_in_time_for_its_turn_to_fail() -> None:
    service = Service(Hang())
    attempt = await accepted(service, wait_seconds=0.1)
    with pytest.raises(DeadlineExceeded):
        await service.steps.generate(attempt)
