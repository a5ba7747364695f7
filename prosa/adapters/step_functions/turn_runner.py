"""Turns run as executions of a state machine: `infrastructure/workflows/take_turn.asl.json`."""

import json

from prosa.adapters.aws_client import AwsClient, AwsFailure, FailureKind, TimeLimits
from prosa.application.ports.turn_runner import AttemptId, TurnNotStarted, TurnRunner

_STARTED_BEFORE = "ExecutionAlreadyExists"
"""What AWS says of a name that an execution had, also where that has ended: for 90 days."""


class StepFunctionsTurnRunner(TurnRunner):
    """Starts a Standard machine by its ARN. Close it with `close`.

    An execution is named after its attempt, so that an attempt has one at most:
    https://docs.aws.amazon.com/step-functions/latest/apireference/API_StartExecution.html
    """

    def __init__(self, state_machine: str, *, limits: TimeLimits | None = None) -> None:
        self._state_machine = state_machine
        self._aws = AwsClient("stepfunctions", limits or TimeLimits())

    async def start(self, attempt: AttemptId) -> None:
        """Start an execution with the attempt's identifiers and nothing else."""
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
                    }
                ),
            )
        except AwsFailure as failure:
            if failure.code != _STARTED_BEFORE:
                raise TurnNotStarted(self._in_words(failure)) from failure

    def close(self) -> None:
        """Close the connections."""
        self._aws.close()

    def _in_words(self, failure: AwsFailure) -> str:
        match failure.kind:
            case FailureKind.DENIED:
                return (
                    f"Step Functions does not let this process start {self._state_machine} "
                    f"({failure.code}): it needs credentials, a region, and the permission "
                    "states:StartExecution"
                )
            case FailureKind.MISSING:
                return f"there is no state machine {self._state_machine} ({failure.code})"
            case FailureKind.REFUSED:
                return f"Step Functions refused to start a turn ({failure.code})"
            case FailureKind.AWAY:
                return f"Step Functions cannot be reached, or failed ({failure.code})"
