"""Recovery: what a crashed process left running is finished or failed."""

import asyncio
import logging
from dataclasses import replace
from datetime import datetime

import pytest

from prosa.adapters.in_memory.language_model import Hang, ScriptedLanguageModel
from prosa.application.ports.expired_turns import ExpiredTurn, ExpiredTurns
from prosa.application.ports.language_model import (
    LanguageModelError,
    ModelRequest,
    ModelUnavailable,
    OnText,
)
from prosa.application.ports.unit_of_work import (
    CommitUnknown,
    StorageUnavailable,
    VersionConflict,
)
from prosa.application.recover_turns import TURNS_AT_ONCE, Recovered, RecoverTurns
from prosa.application.turn_policy import TurnPolicy
from prosa.domain.conversation import LEASE_RAN_OUT
from prosa.domain.conversation_header import Owner
from prosa.domain.errors import StaleAttempt
from prosa.domain.reply import Reply
from prosa.domain.turn import MAX_FAILURES, Attempt, Turn, TurnError, TurnStatus
from prosa.testing import VirtualClock
from tests.application.service import KEY, TENANT, Service, Trouble, a_message
from tests.waiting import until

LEASE_SECONDS = 30.0


async def crashed(
    service: Service, *, caller_waits: bool = False, key: str | None = KEY, text: str = "q1"
) -> Attempt:
    """Accept a message, and never run its turn."""
    message = a_message(text, key=key, caller_waits=caller_waits)
    attempt = (await service.accept(message)).attempt
    assert attempt is not None
    return attempt


def turn_of(service: Service, attempt: Attempt) -> Turn:
    return service.state.turns[attempt.turn_id]


async def test_a_turn_for_which_nobody_waits_is_run_again_with_all_the_time_there_is() -> None:
    service = Service("Agora sim.")
    attempt = await crashed(service)
    service.clock.advance(LEASE_SECONDS)
    assert await service.recover_turns() == Recovered(run_again=1)
    turn = turn_of(service, attempt)
    assert (turn.status, turn.attempt, turn.failures) == (TurnStatus.COMPLETED, 2, 1)
    assert (turn.deadline - service.clock.now).total_seconds() == 25
    assert service.texts(attempt.conversation_id) == ["q1", "Agora sim."]
    assert (await service.take_turn(a_message("q1", key=KEY, caller_waits=False))).replayed


async def test_a_turn_whose_caller_waited_is_failed_and_its_key_runs_it_again() -> None:
    service = Service("Agora sim.")
    attempt = await crashed(service, caller_waits=True)
    service.clock.advance(LEASE_SECONDS)
    assert await service.recover_turns() == Recovered(failed=1)
    assert turn_of(service, attempt).error == TurnError(code=LEASE_RAN_OUT, retryable=True)
    assert service.model.requests == []
    outcome = await service.take_turn(a_message("q1", key=KEY))
    assert (outcome.turn.attempt, outcome.turn.failures) == (2, 1)


async def test_a_turn_whose_lease_holds_is_left_alone() -> None:
    service = Service()
    attempt = await crashed(service)
    service.clock.advance(LEASE_SECONDS - 0.001)
    assert await service.recover_turns() == Recovered()
    assert turn_of(service, attempt) == attempt.turn


async def test_where_nothing_has_crashed_there_is_nothing_to_do() -> None:
    service = Service()
    await service.take_turn(a_message())
    service.clock.advance(LEASE_SECONDS)
    assert await service.recover_turns() == Recovered()


async def test_a_turn_that_crashed_too_often_is_failed_for_good() -> None:
    service = Service(Hang())
    attempt = await crashed(service)
    for number in range(1, MAX_FAILURES):
        service.clock.advance(LEASE_SECONDS)
        again = await service.accept.recover(TENANT, attempt.turn_id)
        assert again.attempt is not None
        assert again.turn.failures == number
    service.clock.advance(LEASE_SECONDS)
    assert await service.recover_turns() == Recovered(failed=1)
    assert turn_of(service, attempt).error == TurnError(code=LEASE_RAN_OUT, retryable=False)


@pytest.mark.parametrize("trouble", [ModelUnavailable("down"), None], ids=["model", "bug"])
async def test_a_recovered_turn_that_fails_is_failed_and_does_not_end_the_pass(
    trouble: LanguageModelError | None, caplog: pytest.LogCaptureFixture
) -> None:
    def step(_: ModelRequest) -> LanguageModelError:
        raise trouble or ZeroDivisionError("segredo")

    service = Service(step, always="a2")
    first = await crashed(service, text="q1")
    second = await crashed(service, key="key-2", text="q2")
    service.clock.advance(LEASE_SECONDS)
    with caplog.at_level(logging.WARNING):
        assert await service.recover_turns() == Recovered(run_again=2, failed_again=1)
    assert turn_of(service, first).status is TurnStatus.FAILED
    assert turn_of(service, second).status is TurnStatus.COMPLETED
    assert type(trouble or ZeroDivisionError()).__name__ in caplog.text
    assert "segredo" not in caplog.text


async def test_a_zombie_that_recovery_has_fenced_off_is_discarded() -> None:
    service = Service("dead", "alive")
    zombie = await service.take_turn.generate(await crashed(service))
    service.clock.advance(LEASE_SECONDS)
    await service.recover_turns()
    with pytest.raises(StaleAttempt):
        await service.take_turn.record(zombie)
    assert service.texts(zombie.conversation_id) == ["q1", "alive"]


async def test_of_two_that_recover_at_once_one_runs_a_turn_and_the_other_passes_over_it() -> None:
    one = Service("Uma vez.")
    other = Service("Uma vez.", storage=one.storage, clock=one.clock)
    attempts = [await crashed(one, key=f"key-{n}") for n in range(5)]
    one.clock.advance(LEASE_SECONDS)
    recovered = await asyncio.gather(one.recover_turns(), other.recover_turns())
    assert sum(each.run_again for each in recovered) == len(attempts)
    assert len(one.model.requests) + len(other.model.requests) == len(attempts)
    assert all(turn_of(one, each).attempt == 2 for each in attempts)


async def test_who_loses_the_race_for_a_turn_leaves_it_to_the_winner() -> None:
    service = Service()
    attempt = await crashed(service)
    service.clock.advance(LEASE_SECONDS)
    service.commits.append(Trouble(error=VersionConflict("somebody")))
    assert await service.recover_turns() == Recovered()
    assert turn_of(service, attempt).status is TurnStatus.RUNNING


class ThoseThatWereFound(ExpiredTurns):
    """Finds what was to be found some time ago."""

    def __init__(self, *attempts: Attempt) -> None:
        self._found = tuple(
            ExpiredTurn(tenant_id=each.tenant_id, turn_id=each.turn_id) for each in attempts
        )

    async def find(self, *, now: datetime, limit: int) -> tuple[ExpiredTurn, ...]:
        """Find them, whatever has become of them."""
        assert now.tzinfo
        return self._found[:limit]


async def test_a_turn_that_somebody_saw_to_meanwhile_is_passed_over() -> None:
    service = Service(Hang())
    ended, taken_over = await crashed(service), await crashed(service, key="key-2")
    service.clock.advance(LEASE_SECONDS)
    await service.take_turn.fail(ended, ModelUnavailable("down"))
    await service.accept.recover(TENANT, taken_over.turn_id)
    turns = dict(service.state.turns)
    recover_turns = RecoverTurns(
        expired_turns=ThoseThatWereFound(ended, taken_over),
        take_turn=service.take_turn,
        clock=service.clock,
    )
    assert await recover_turns() == Recovered()
    assert service.state.turns == turns


async def test_a_turn_that_a_human_answers_by_now_is_neither_run_nor_failed() -> None:
    service = Service()
    attempt = await crashed(service)
    header = service.state.headers[attempt.conversation_id]
    service.state.headers[header.id] = replace(header, owner=Owner.HUMAN)
    service.clock.advance(LEASE_SECONDS)
    assert await service.recover_turns() == Recovered()
    assert turn_of(service, attempt).status is TurnStatus.COMPLETED


class CountingModel(ScriptedLanguageModel):
    """Counts how many of its calls run at once."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(clock=clock)
        self.most = self.running = 0

    async def generate(self, request: ModelRequest, on_text: OnText | None = None) -> Reply:
        """Let others in before answering."""
        self.running += 1
        self.most = max(self.most, self.running)
        await asyncio.sleep(0.001)
        self.running -= 1
        return await super().generate(request, on_text)


async def test_no_more_than_a_few_turns_are_run_at_once() -> None:
    clock = VirtualClock()
    model = CountingModel(clock)
    service = Service(model=model, clock=clock)
    for number in range(3 * TURNS_AT_ONCE):
        await crashed(service, key=f"key-{number}")
    service.clock.advance(LEASE_SECONDS)
    assert await service.recover_turns() == Recovered(run_again=3 * TURNS_AT_ONCE)
    assert model.most == TURNS_AT_ONCE


async def test_a_pass_that_is_cancelled_fails_the_turns_that_it_runs() -> None:
    service = Service(Hang())
    attempt = await crashed(service)
    service.clock.advance(LEASE_SECONDS)
    recovering = asyncio.create_task(service.recover_turns())
    await until(lambda: service.model.requests)
    recovering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await recovering
    assert turn_of(service, attempt).error == TurnError(code="interrupted", retryable=True)


async def test_what_a_pass_came_to_is_told_though_it_is_cancelled() -> None:
    service = Service(Hang())
    await crashed(service)
    await crashed(service, key="key-2", caller_waits=True)
    service.clock.advance(LEASE_SECONDS)
    told: list[Recovered] = []
    recovering = asyncio.create_task(service.recover_turns(told.append))
    await until(lambda: len(told) == 2)
    recovering.cancel()
    with pytest.raises(asyncio.CancelledError):
        await recovering
    assert sum(told, Recovered()) == Recovered(run_again=1, failed=1, failed_again=1)


@pytest.mark.parametrize(
    "trouble",
    [Trouble(error=StorageUnavailable("away")), Trouble(error=CommitUnknown("broken")), Trouble()],
    ids=["away", "broken", "hanging"],
)
async def test_a_database_that_fails_ends_the_pass(trouble: Trouble) -> None:
    service = Service(policy=TurnPolicy(deadline_seconds=0.05))
    for number in range(3 * TURNS_AT_ONCE):
        await crashed(service, key=f"key-{number}")
    service.clock.advance(LEASE_SECONDS)
    service.commits.extend([trouble] * TURNS_AT_ONCE)
    with pytest.raises(StorageUnavailable):
        await service.recover_turns()
    assert all(turn.attempt == 1 for turn in service.state.turns.values())


async def test_a_claim_of_unknown_outcome_that_was_written_is_run() -> None:
    service = Service("Agora sim.")
    attempt = await crashed(service)
    service.clock.advance(LEASE_SECONDS)
    service.commits.append(Trouble(error=CommitUnknown("broken off"), written=True))
    assert await service.recover_turns() == Recovered(run_again=1)
    assert turn_of(service, attempt).status is TurnStatus.COMPLETED
