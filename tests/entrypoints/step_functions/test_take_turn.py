"""The state machine takes turns: executed by moto, with the real functions."""

import pytest

from embedded_aws.state_machine import definition
from prosa.adapters.in_memory.guardrail import REDACTED
from prosa.adapters.in_memory.language_model import Hang
from prosa.application.ports.event_bus import EventBusError
from prosa.application.ports.language_model import (
    CircuitOpen,
    ContextTooLong,
    ModelQuotaExhausted,
    ModelUnavailable,
)
from prosa.application.ports.unit_of_work import CommitUnknown, StorageUnavailable, VersionConflict
from prosa.domain.errors import PromptNotFound, StaleAttempt
from prosa.domain.reply import FinishReason
from prosa.domain.turn import TurnStatus
from tests.application.service import SAFE, TENANT, Service, a_message
from tests.entrypoints.step_functions.journeys import (
    accepted,
    each_once,
    execution_of,
    start,
    taken,
)
from tests.entrypoints.step_functions.machine import Functions, Machine, Trouble, running_machine

WHOLE = ["Classify", "Generate", "Record", "Publish", "Completed"]
FAILING = ["Fail", "PublishFailure", "Failed"]
FUNCTION_OF = {"Classify": "classify", "Generate": "generate", "Record": "record", "Fail": "fail"}

OURS: dict[str, Exception] = {
    "StorageUnavailable": StorageUnavailable("away"),
    "CommitUnknown": CommitUnknown("broke"),
    "VersionConflict": VersionConflict("raced"),
}
"""What functions raise that are retried; all others that are have names of Lambda's."""

RETRIED = [
    (state, error)
    for state, task in definition()["States"].items()
    if state in FUNCTION_OF
    for error in task["Retry"][0]["ErrorEquals"]
    if not error.startswith("States.")  # those are the machine's own, not reported by a function
]


async def test_a_turn_is_classified_answered_recorded_and_published(
    service: Service, machine: Machine
) -> None:
    turn, execution = await taken(service, machine)

    assert execution.states == WHOLE
    assert execution.status == "SUCCEEDED"
    assert turn.status is TurnStatus.COMPLETED
    assert turn.reply is not None
    assert turn.reply.text == "Claro!"
    assert turn.intent is not None


async def test_the_state_holds_identifiers_and_nothing_else(
    service: Service, machine: Machine
) -> None:
    attempt = await accepted(service, "meu pedido 4711")
    _, execution = await taken(service, machine, attempt)

    ids = {"tenant_id": TENANT, "turn_id": attempt.turn_id, "attempt": 1}
    assert machine.functions.events == [ids] * 4
    assert "4711" not in execution.history
    assert "Claro" not in execution.history


async def test_each_error_that_passes_is_retried(service: Service, machine: Machine) -> None:
    attempts = {case: await accepted(service) for case in RETRIED}
    for (state, error), attempt in attempts.items():
        troubles = machine.functions.before
        troubles[attempt.turn_id, FUNCTION_OF[state]].append(OURS.get(error, error))
        if state == "Fail":
            troubles[attempt.turn_id, "generate"].append(ModelUnavailable("down"))
    await start(service, machine, *attempts.values())

    for (state, error), attempt in attempts.items():
        states = execution_of(machine, attempt).states
        assert states == (WHOLE[:2] + FAILING if state == "Fail" else WHOLE), (state, error)
        invoked = machine.functions.invoked[attempt.turn_id]
        assert invoked.count(FUNCTION_OF[state]) == 2, (state, error)
        turn = await service.reader.get_turn(TENANT, attempt.turn_id)
        assert turn.status is not TurnStatus.RUNNING


# fmt: off
CAUGHT: list[tuple[str, Trouble, str, bool]] = [
    ("classify", "Lambda.Unknown",           "interrupted",           True),
    ("classify", "Sandbox.Timedout",         "deadline_exceeded",     True),
    ("generate", ModelUnavailable("down"),   "model_unavailable",     True),
    ("generate", CircuitOpen("rests", 30.0), "model_unavailable",     True),
    ("generate", ModelQuotaExhausted("0"),   "model_unavailable",     True),
    ("generate", ContextTooLong("long"),     "context_too_long",      False),
    ("generate", PromptNotFound("p", "dir"), "internal_error",        True),
    ("generate", "Runtime.ImportModuleError", "internal_error",       True),
    ("record",   PromptNotFound("p", "dir"), "internal_error",        True),
]
# fmt: on


async def test_any_other_error_fails_the_turn_at_once_and_frees_the_conversation(
    service: Service, machine: Machine
) -> None:
    attempts = [await accepted(service) for _ in CAUGHT]
    for (function, trouble, _, _), attempt in zip(CAUGHT, attempts, strict=True):
        machine.functions.before[attempt.turn_id, function].append(trouble)
    await start(service, machine, *attempts)

    for (function, trouble, code, retryable), attempt in zip(CAUGHT, attempts, strict=True):
        execution = execution_of(machine, attempt)
        assert execution.states[-3:] == FAILING, trouble
        assert execution.status == "FAILED"
        assert machine.functions.invoked[attempt.turn_id].count(function) == 1
        turn = await service.reader.get_turn(TENANT, attempt.turn_id)
        assert turn.status is TurnStatus.FAILED
        assert turn.error is not None
        assert (turn.error.code, turn.error.retryable) == (code, retryable)
        await service.accept(a_message(to=turn.conversation_id))


@pytest.mark.parametrize("function", ["classify", "generate", "record", "fail"])
async def test_an_attempt_that_lost_its_turn_ends_quietly(
    service: Service, machine: Machine, function: str
) -> None:
    attempt = await accepted(service)
    troubles = machine.functions.before
    troubles[attempt.turn_id, function].append(StaleAttempt(attempt.turn_id, 1))
    if function == "fail":
        troubles[attempt.turn_id, "generate"].append(ModelUnavailable("down"))
    _, execution = await taken(service, machine, attempt)

    assert execution.status == "SUCCEEDED"
    assert execution.states[-1] == "Superseded"


async def test_events_that_cannot_be_published_now_change_nothing(
    service: Service, machine: Machine
) -> None:
    completed, failed = await accepted(service), await accepted(service)
    for attempt in (completed, failed):
        machine.functions.before[attempt.turn_id, "publish"].append(EventBusError("away"))
    machine.functions.before[failed.turn_id, "generate"].append(ModelUnavailable("down"))

    turn, execution = await taken(service, machine, completed)
    assert turn.status is TurnStatus.COMPLETED
    assert execution.states == WHOLE

    turn, execution = await taken(service, machine, failed)
    assert turn.status is TurnStatus.FAILED
    assert execution.states[-3:] == FAILING


async def test_a_model_outage_fails_the_turn_after_the_models_own_retries_only(
    service: Service, machine: Machine
) -> None:
    service.model.script.append(ModelUnavailable("down"))
    turn, execution = await taken(service, machine)

    assert len(service.model.requests) == 1
    assert turn.error is not None
    assert (turn.error.code, turn.error.retryable) == ("model_unavailable", True)
    assert execution.error == "ModelUnavailable"
    assert service.state.attempts[turn.id, 1].calls_made == 1


async def test_a_model_that_hangs_is_given_up_in_time_for_the_turn_to_say_so(
    service: Service, machine: Machine
) -> None:
    service.model.script.append(Hang())
    turn, _ = await taken(service, machine, await accepted(service, wait_seconds=0.5))

    assert turn.error is not None
    assert (turn.error.code, turn.error.retryable) == ("deadline_exceeded", True)


async def test_a_function_that_hangs_is_given_up_and_its_turn_fails(
    aws: None, moto_address: str, service: Service
) -> None:
    assert aws is None
    functions = Functions(steps=service.steps, hanging="generate")
    impatient = definition()
    impatient["States"]["Generate"]["TimeoutSeconds"] = 1
    with running_machine(moto_address, functions, impatient) as machine:
        turn, execution = await taken(service, machine)
        functions.hanging_lets_go.set()

    assert each_once(execution.states) == ["Classify", "Generate", *FAILING]
    assert turn.error is not None
    assert (turn.error.code, turn.error.retryable) == ("deadline_exceeded", True)


async def test_a_reply_that_the_guardrail_blocks_is_a_safe_sentence(
    service: Service, machine: Machine
) -> None:
    service.model.script.append("Isto é proibido.")
    turn, execution = await taken(service, machine)

    assert execution.states == WHOLE
    assert turn.reply is not None
    assert turn.reply.text == SAFE
    assert turn.reply.provenance is not None
    assert turn.reply.provenance.finish_reason is FinishReason.CONTENT_FILTER


async def test_what_the_guardrail_found_at_the_door_is_kept_with_the_attempt(
    service: Service, machine: Machine
) -> None:
    turn, _ = await taken(service, machine, await accepted(service, "cartão 4111"))

    assert turn.status is TurnStatus.COMPLETED
    (found,) = service.state.attempts[turn.id, 1].findings
    assert found.rule == REDACTED


async def test_what_an_unexpected_error_says_stays_out_of_the_execution(
    service: Service, machine: Machine
) -> None:
    def quote(_request: object) -> str:
        raise KeyError("my card is 4711")

    service.model.script.append(quote)
    turn, execution = await taken(service, machine)

    assert turn.error is not None
    assert turn.error.code == "internal_error"
    assert "4711" not in execution.history
    assert execution.error == "UnexpectedError"


async def test_an_attempt_is_executed_once_however_often_it_is_started(
    service: Service, machine: Machine
) -> None:
    attempt = await accepted(service)
    await start(service, machine, attempt, attempt)
    execution_of(machine, attempt)
    await start(service, machine, attempt)

    assert machine.names() == {f"{attempt.turn_id}-1": 1}
    assert len(service.model.requests) == 1
