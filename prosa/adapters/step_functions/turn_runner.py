"""Turns run as executions of a state machine: `infrastructure/workflows/take_turn.asl.json`."""

import json

from prosa.adapters.aws_client import AwsClient, AwsFailure, FailureKind, TimeLimits
from prosa.adapters.event_format import TRACEPARENT
from prosa.application.ports.turn_runner import AttemptId, TurnNotStarted, TurnRunner

_KIND = "STANDARD"
_STARTED_BEFORE = "ExecutionAlreadyExists"
"""What AWS says of a name that an execution had, also where that has ended: for 90 days."""


class StepFunctionsTurnRunner(TurnRunner):
    """Starts a Standard machine by its ARN. Close it with `close`.

    An execution is named after its attempt, so that an attempt has one at most:
    https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html. It needs
    `states:StartExecution`, and to look at the machine `states:DescribeStateMachine`.
    """

    def __init__(self, state_machine: str, *, limits: TimeLimits | None = None) -> None:
        self._state_machine = state_machine
        self._aws = AwsClient("stepfunctions", limits or TimeLimits())

    async def start(self, attempt: AttemptId) -> None:
        """Start an execution with the attempt's identifiers, and those of the trace if any."""
        traceparent = TRACEPARENT.get()
        try:
            await self._aws.call(
                "start_execution",
                stateMachineArn=self._state_machine,
                name=f"{attempt.turn_id}-{attempt.number}",
                input=json.dumps(
                    {
                        "tenant_id": attempt.tenant_id,
                        "turn_id": attempt.turn_id,
                        "attempt": attempt.number,
                        **({} if traceparent is None else {"traceparent": traceparent}),
                    }
                ),
            )
        except AwsFailure as failure:
            if failure.code != _STARTED_BEFORE:
                raise TurnNotStarted(self._in_words(failure)) from failure

    async def check(self) -> None:
        """Look at the machine, which starts nothing."""
        try:
            found = await self._aws.call(
                "describe_state_machine", stateMachineArn=self._state_machine
            )
        except AwsFailure as failure:
            raise TurnNotStarted(self._in_words(failure)) from failure
        if found.get("type") != _KIND:
            raise TurnNotStarted(
                f"{self._state_machine} is no {_KIND} machine: another may run an attempt twice"
            )

    def close(self) -> None:
        """Close the connections."""
        self._aws.close()

    def _in_words(self, failure: AwsFailure) -> str:
        match failure.kind:
            case FailureKind.DENIED:
                return (
                    f"Step Functions does not let this process use {self._state_machine} "
                    f"({failure.code}): it needs credentials, a region, and the permissions "
                    "states:StartExecution and states:DescribeStateMachine"
                )
            case FailureKind.MISSING:
                return f"there is no state machine {self._state_machine} ({failure.code})"
            case FailureKind.REFUSED:
                return f"Step Functions refused a request ({failure.code})"
            case FailureKind.AWAY:
                return f"Step Functions cannot be reached, or failed ({failure.code})"
