"""The tasks of the state machine that takes turns, each from its event to a step."""

from collections.abc import Callable, Coroutine, Mapping
from typing import TYPE_CHECKING, Any

from prosa.application.ports.language_model import LanguageModel, ModelRequest, OnText
from prosa.application.ports.turn_runner import AttemptId
from prosa.application.turn_steps import TurnSteps
from prosa.domain.identifiers import TenantId, TurnId
from prosa.domain.reply import Reply
from prosa.entrypoints.step_functions.failures import kind_of, reporting

if TYPE_CHECKING:  # an extra
    from prosa.adapters.opentelemetry.telemetry import Telemetry

Event = Mapping[str, Any]
"""The state: `tenant_id`, `turn_id`, `attempt` (a number), and where there is one `traceparent`.

For `fail` also the `error`'s name, and the state of the start as `input`.
"""


async def classify(steps: TurnSteps, event: Event) -> None:
    """Find out what the customer wants."""
    await reporting(steps.classify(_attempt_of(event)))


async def generate(steps: TurnSteps, event: Event) -> None:
    """Have the model answer."""
    await reporting(steps.generate(_attempt_of(event)))


async def record(steps: TurnSteps, event: Event) -> None:
    """Store the reply and complete the turn."""
    await reporting(steps.record(_attempt_of(event)))


async def fail(steps: TurnSteps, event: Event) -> None:
    """End the turn in failure, so that its conversation is free."""
    await reporting(steps.fail(_attempt_of(event), kind_of(event["error"])))


Task = Callable[[TurnSteps, Event], Coroutine[Any, Any, None]]


async def seen(task: Task, steps: TurnSteps, event: Event, telemetry: "Telemetry | None") -> None:
    """Do a task in the trace that the door has told, where somebody wants to see it."""
    if telemetry is None:
        await task(steps, event)
        return
    from prosa.adapters.opentelemetry.turn_runner import (  # noqa: PLC0415 - an extra
        doing_task,
    )

    traceparent = event.get("input", event).get("traceparent")
    with doing_task(telemetry.tracing, task.__name__, _attempt_of(event), traceparent):
        await task(steps, event)


class UnaskedModel(LanguageModel):
    """Stands where a task asks no model, so that none has to be opened."""

    name = "none"
    context_tokens = 1
    needs_alternating_roles = False

    async def generate(self, request: ModelRequest, on_text: OnText | None = None) -> Reply:
        """Tell of a bug."""
        raise NotImplementedError("this task was opened without a model, and asks one")


def _attempt_of(event: Event) -> AttemptId:
    return AttemptId(
        tenant_id=TenantId(event["tenant_id"]),
        turn_id=TurnId(event["turn_id"]),
        number=event["attempt"],
    )
