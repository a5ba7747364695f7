"""The functions of `infrastructure/workflows/take_turn.asl.json`, one a task.

Each is a handler for AWS Lambda: `prosa.entrypoints.step_functions.take_turn.generate`. It is
opened when it is first asked for, as those of `aws_lambda` are.
"""

from functools import cache

from prosa.bootstrap import bootstrap, open_relay
from prosa.entrypoints.aws_lambda.relay_outbox import relay_within
from prosa.entrypoints.aws_lambda.runtime import (
    Container,
    Handler,
    InvocationContext,
    read_settings,
    seconds_to_use,
)
from prosa.entrypoints.step_functions import tasks
from prosa.entrypoints.step_functions.tasks import Event, Task

PUBLISH_SECONDS = 5.0
"""How long a turn's execution relays events; the schedule relays what is left."""

PUBLISH = "publish"
STEPS = {
    "classify": tasks.classify,
    "generate": tasks.generate,
    "record": tasks.record,
    "fail": tasks.fail,
}
"""The functions that take a step, by their names; the one called PUBLISH relays events."""


def __getattr__(name: str) -> Handler:  # PEP 562
    if name == PUBLISH:
        return _publishing()
    if name in STEPS:
        return _stepping(STEPS[name])
    raise AttributeError(f"this module has no {name!r}; it has {PUBLISH}, {', '.join(STEPS)}")


@cache
def _stepping(task: Task) -> Handler:
    container = Container(bootstrap(read_settings()))

    def handler(event: Event, _context: InvocationContext) -> None:
        container.run(task(container.opened.turn_steps, event))

    return handler


@cache
def _publishing() -> Handler:
    container = Container(open_relay(read_settings()))

    def handler(_event: Event, context: InvocationContext) -> None:
        seconds = min(PUBLISH_SECONDS, seconds_to_use(context))
        container.run(relay_within(container.opened.relay_outbox, seconds))

    return handler
