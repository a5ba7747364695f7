"""Step Functions as a turn runner: what goes wrong is told in words that help."""

import pytest

from embedded_aws.loopback_server import HANG, json_response
from prosa.adapters.aws_client import TimeLimits
from prosa.adapters.step_functions.turn_runner import StepFunctionsTurnRunner
from prosa.application.ports.turn_runner import TurnNotStarted
from prosa.testing.turn_runner_contract import ATTEMPT
from tests.aws import aws_error, operation, running_stub

MACHINE = "arn:aws:states:eu-west-1:123456789012:stateMachine:take_turn"


@pytest.mark.parametrize(
    ("status", "code", "says"),
    [
        (400, "AccessDeniedException", "states:StartExecution"),
        (400, "StateMachineDoesNotExist", MACHINE),
        (400, "InvalidArn", "refused"),
        (400, "StateMachineDeleting", "refused"),
        (400, "ExecutionLimitExceeded", "failed"),
        (400, "ThrottlingException", "failed"),
        (500, "InternalFailure", "failed"),
    ],
)
async def test_a_failure_is_told_by_what_to_do_and_by_its_code(
    monkeypatch: pytest.MonkeyPatch, status: int, code: str, says: str
) -> None:
    async with running_stub(monkeypatch) as stub:
        stub.will(aws_error(status, code))
        runner = StepFunctionsTurnRunner(MACHINE)
        with pytest.raises(TurnNotStarted, match=says) as raised:
            await runner.start(ATTEMPT)
        runner.close()
    assert code in str(raised.value)
    assert [operation(received) for received in stub.requests] == ["StartExecution"]


async def test_an_execution_that_has_ended_already_is_as_good_as_started(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with running_stub(monkeypatch) as stub:
        stub.will(aws_error(400, "ExecutionAlreadyExists"))
        runner = StepFunctionsTurnRunner(MACHINE)
        await runner.start(ATTEMPT)
        runner.close()


async def test_no_answer_is_waited_for_longer_than_a_call_may_take(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    async with running_stub(monkeypatch) as stub:
        stub.will(HANG)
        runner = StepFunctionsTurnRunner(MACHINE, limits=TimeLimits(call=0.2, read=0.3))
        with pytest.raises(TurnNotStarted, match="no answer in time"):
            await runner.start(ATTEMPT)
        runner.close()


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (aws_error(400, "StateMachineDoesNotExist"), f"there is no state machine {MACHINE}"),
        (aws_error(400, "AccessDeniedException"), "and states:DescribeStateMachine"),
        (aws_error(500, "InternalFailure"), "cannot be reached, or failed"),
        (json_response(200, {"type": "EXPRESS"}), "is no STANDARD machine"),
    ],
    ids=["missing", "denied", "away", "express"],
)
async def test_a_look_at_the_machine_says_what_is_wrong_and_starts_nothing(
    monkeypatch: pytest.MonkeyPatch, answer: bytes, says: str
) -> None:
    async with running_stub(monkeypatch) as stub:
        stub.will(answer)
        runner = StepFunctionsTurnRunner(MACHINE)
        with pytest.raises(TurnNotStarted, match=says):
            await runner.check()
        runner.close()
    assert [operation(received) for received in stub.requests] == ["DescribeStateMachine"]
