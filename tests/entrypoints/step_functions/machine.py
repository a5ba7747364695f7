"""The state machine on the loopback: moto executes it, and its tasks are the real Python ones."""

import asyncio
import json
import threading
import time
from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from embedded_aws.moto_server import own_client
from embedded_aws.state_machine import ARN, LambdaError, executing, make_state_machine
from prosa.application.turn_steps import TurnSteps
from prosa.entrypoints.step_functions import tasks

Trouble = Exception | str
"""What an invocation ends in: an error of the function's, or one of Lambda's by its name."""

Troubles = defaultdict[tuple[str, str], deque[Trouble]]
"""By turn and function."""


@dataclass(slots=True, kw_only=True)
class Functions:
    """The functions of the machine: their own troubles come first, then what they do."""

    steps: TurnSteps
    publish: Callable[[], None] = lambda: None
    before: Troubles = field(default_factory=partial(defaultdict, deque))
    """What goes wrong instead of the next invocations."""
    after: Troubles = field(default_factory=partial(defaultdict, deque))
    """What goes wrong after the next invocations have done their work."""
    invoked: defaultdict[str, list[str]] = field(default_factory=partial(defaultdict, list))
    """For each turn, the functions that were invoked, in order."""
    events: list[dict[str, Any]] = field(default_factory=list)
    hanging: str | None = None
    """Which function does not return before it is let go."""
    hanging_lets_go: threading.Event = field(default_factory=threading.Event)
    _one_at_a_time: threading.Lock = field(default_factory=threading.Lock)

    def invoke(self, name: str, event: dict[str, Any]) -> None:
        turn_id = event["turn_id"]
        if name == self.hanging:
            self.hanging_lets_go.wait(30)
        with self._one_at_a_time:
            self.invoked[turn_id].append(name)
            self.events.append(event)
            _strike(self.before[turn_id, name])
            if name == "publish":
                self.publish()
            else:
                asyncio.run(getattr(tasks, name)(self.steps, event))
            _strike(self.after[turn_id, name])


def _strike(troubles: deque[Trouble]) -> None:
    if troubles:
        trouble = troubles.popleft()
        raise LambdaError(trouble) if isinstance(trouble, str) else trouble


@dataclass(frozen=True, slots=True, kw_only=True)
class Execution:
    """One execution as it ended."""

    status: str
    states: list[str]
    """The states it entered, in order."""
    error: str | None
    history: str


class Machine:
    """The machine in an account of moto's."""

    def __init__(self, client: Any, arn: str, functions: Functions) -> None:  # noqa: ANN401 - boto3's
        self.arn = arn
        self.functions = functions
        self._client = client

    def execution(self, name: str) -> Execution:
        """Wait until an execution has ended, and tell how."""
        arn = f"{self.arn.replace(':stateMachine:', ':execution:')}:{name}"
        for _ in range(600):
            found = self._client.describe_execution(executionArn=arn)
            if found["status"] != "RUNNING":
                break
            time.sleep(0.05)
        events = self._client.get_execution_history(executionArn=arn)["events"]
        entered = [event.get("stateEnteredEventDetails") for event in events]
        return Execution(
            status=found["status"],
            states=[details["name"] for details in entered if details],
            error=found.get("error"),
            history=json.dumps(events, default=str),
        )

    def names(self) -> Counter[str]:
        """Name the executions that were started."""
        found = self._client.list_executions(stateMachineArn=self.arn)["executions"]
        return Counter(execution["name"] for execution in found)


@contextmanager
def running_machine(
    address: str, functions: Functions, workflow: dict[str, Any] | None = None
) -> Iterator[Machine]:
    """Have moto execute the machine with these functions; `address` is an empty account's."""
    with executing(address, functions.invoke), own_client("stepfunctions") as client:
        make_state_machine(workflow)
        yield Machine(client, ARN, functions)
