"""Turns that run elsewhere: handed on, and never forgotten where they could not be."""

import pytest

from prosa.adapters.in_memory.expired_turns import InMemoryExpiredTurns
from prosa.adapters.in_memory.guardrail import REDACTED, ScriptedGuardrail
from prosa.adapters.in_memory.language_model import Hang
from prosa.adapters.in_memory.turn_runner import InMemoryTurnRunner
from prosa.application.ports.language_model import ModelUnavailable
from prosa.application.ports.turn_runner import AttemptId, TurnNotStarted
from prosa.application.ports.unit_of_work import StorageUnavailable
from prosa.application.recover_turns import Recovered, RecoverTurns
from prosa.application.run_elsewhere import RunElsewhere
from prosa.domain.turn import Attempt, TurnStatus
from tests.application.service import KEY, TENANT, Service, Trouble, a_message


def elsewhere(service: Service, runner: InMemoryTurnRunner) -> RunElsewhere:
    """Wire what hands turns on."""
    return RunElsewhere(runner=runner, attempts=service.attempts, take_turn=service.take_turn)


async def accepted(service: Service, *, caller_waits: bool = True) -> Attempt:
    """Claim a turn."""
    taken = await service.accept(a_message(key=KEY, caller_waits=caller_waits))
    assert taken.attempt is not None
    return taken.attempt


async def ran(runner: InMemoryTurnRunner) -> None:
    """Wait for all that was started."""
    for task in runner.started.values():
        await task


async def test_a_turn_is_taken_where_it_was_started() -> None:
    service = Service("Claro!")
    runner = InMemoryTurnRunner(service.steps)
    attempt = await accepted(service)
    await elsewhere(service, runner)(attempt)
    await ran(runner)

    turn = await service.reader.get_turn(TENANT, attempt.turn_id)
    assert turn.reply is not None
    assert turn.reply.text == "Claro!"


async def test_what_was_found_at_the_door_goes_along() -> None:
    service = Service(guardrail=ScriptedGuardrail(redacts={"pedido": "***"}))
    runner = InMemoryTurnRunner(service.steps)
    attempt = await accepted(service)
    await elsewhere(service, runner)(attempt)
    await ran(runner)

    assert service.texts(attempt.conversation_id)[0] == "Cadê meu ***?"
    (found,) = service.state.attempts[attempt.turn_id, 1].findings
    assert found.rule == REDACTED


async def test_a_turn_that_could_not_be_started_is_failed_and_its_key_starts_it_again() -> None:
    service = Service("Claro!")
    runner = InMemoryTurnRunner(service.steps, [TurnNotStarted("away")])
    attempt = await accepted(service)
    with pytest.raises(TurnNotStarted):
        await elsewhere(service, runner)(attempt)

    turn = await service.reader.get_turn(TENANT, attempt.turn_id)
    assert turn.status is TurnStatus.FAILED
    assert turn.error is not None
    assert (turn.error.code, turn.error.retryable) == ("turn_not_started", True)
    assert turn.failures == 0

    await elsewhere(service, runner)(await accepted(service))
    await ran(runner)
    turn = await service.reader.get_turn(TENANT, attempt.turn_id)
    assert (turn.status, turn.attempt) == (TurnStatus.COMPLETED, 2)


async def test_where_it_cannot_even_be_failed_why_it_was_not_started_is_told() -> None:
    service = Service()
    runner = InMemoryTurnRunner(service.steps, [TurnNotStarted("away")])
    attempt = await accepted(service)
    service.commits.append(Trouble(error=StorageUnavailable("away")))
    with pytest.raises(TurnNotStarted):
        await elsewhere(service, runner)(attempt)
    turn = await service.reader.get_turn(TENANT, attempt.turn_id)
    assert turn.status is TurnStatus.RUNNING


async def test_a_turn_that_fails_elsewhere_is_failed_there() -> None:
    service = Service(ModelUnavailable("down"))
    runner = InMemoryTurnRunner(service.steps)
    attempt = await accepted(service)
    await elsewhere(service, runner)(attempt)
    await ran(runner)

    turn = await service.reader.get_turn(TENANT, attempt.turn_id)
    assert turn.error is not None
    assert turn.error.code == "model_unavailable"


async def test_an_attempt_that_lost_its_turn_meanwhile_leaves_it_alone() -> None:
    service = Service()
    runner = InMemoryTurnRunner(service.steps)
    attempt = await accepted(service)
    await service.take_turn.fail(attempt, ModelUnavailable("down"))
    before = await service.reader.get_turn(TENANT, attempt.turn_id)
    await elsewhere(service, runner)(attempt)
    await ran(runner)
    assert await service.reader.get_turn(TENANT, attempt.turn_id) == before


async def test_a_crashed_turn_nobody_waits_for_is_started_again_and_not_waited_for() -> None:
    service = Service(Hang())
    runner = InMemoryTurnRunner(service.steps)
    recover_turns = RecoverTurns(
        expired_turns=InMemoryExpiredTurns(service.storage),
        take_turn=service.take_turn,
        clock=service.clock,
        run_elsewhere=elsewhere(service, runner),
    )
    attempt = await accepted(service, caller_waits=False)
    service.clock.advance(60)

    assert await recover_turns() == Recovered(run_again=1)
    again = AttemptId(tenant_id=TENANT, turn_id=attempt.turn_id, number=2)
    assert [*runner.started] == [again]
    turn = await service.reader.get_turn(TENANT, attempt.turn_id)
    assert (turn.status, turn.attempt) == (TurnStatus.RUNNING, 2)
    runner.started[again].cancel()
