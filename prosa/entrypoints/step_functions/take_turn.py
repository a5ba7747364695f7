"""The functions of `infrastructure/workflows/take_turn.asl.json`, one a task.

Each is a handler for AWS Lambda: `prosa.entrypoints.step_functions.take_turn.generate`. It is
opened when it is first asked for, as those of `aws_lambda` are.
"""

# ruff: noqa: PLC0415 - what a function needs is loaded while the collector rests

from functools import partial
from typing import TYPE_CHECKING

from prosa.entrypoints.aws_lambda.runtime import (
    Container,
    Handler,
    InvocationContext,
    opened_when_asked_for,
    read_settings,
    read_settings_behind_the_door,
    seconds_to_use,
)

if TYPE_CHECKING:
    from prosa.entrypoints.step_functions.tasks import Event, Task
    from prosa.settings import Settings

PUBLISH = "publish"
STEPS = ("classify", "generate", "record", "fail")
"""The functions that take a step, as `tasks` names them; the one called PUBLISH relays events."""

PUBLISH_SECONDS = 5.0
"""How long an execution relays events; the schedule relays what is left."""


def _open_step(name: str) -> Handler:
    from prosa.bootstrap import bootstrap
    from prosa.entrypoints.step_functions import tasks

    task: Task = getattr(tasks, name)
    settings = read_settings_behind_the_door()
    # A model's SDK is most of a start, and the right to call it is for those that do.
    model = None if _asks_a_model(name, settings) else tasks.UnaskedModel()
    container = Container(bootstrap(settings, model=model))

    def take_step(event: "Event", _context: InvocationContext) -> None:
        opened = container.opened
        container.run(tasks.seen(task, opened.turn_steps, event, opened.telemetry))

    return take_step


def _asks_a_model(name: str, settings: "Settings") -> bool:
    return name == "generate" or (name == "classify" and settings.intent_classifier == "prompted")


def _open_publish() -> Handler:
    from prosa.bootstrap.events import open_relay
    from prosa.entrypoints.aws_lambda.relay_outbox import relay_within

    container = Container(open_relay(read_settings()))

    def publish(_event: "Event", context: InvocationContext) -> None:
        seconds = min(PUBLISH_SECONDS, seconds_to_use(context))
        container.run(relay_within(container.opened.relay_outbox, seconds))

    return publish


_HANDLERS = {name: opened_when_asked_for(partial(_open_step, name)) for name in STEPS}
_HANDLERS[PUBLISH] = opened_when_asked_for(_open_publish)


def __getattr__(name: str) -> Handler:  # PEP 562
    if name not in _HANDLERS:
        raise AttributeError(f"this module has no {name!r}; it has {', '.join(_HANDLERS)}")
    return _HANDLERS[name]("handler")
