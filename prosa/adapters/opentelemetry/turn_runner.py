"""A turn runner, seen: the tasks that it starts go on with the trace of the door."""

from opentelemetry.trace import SpanKind
from opentelemetry.util.types import AttributeValue

from prosa.adapters.opentelemetry import names
from prosa.adapters.opentelemetry.spans import (
    Block,
    Stored,
    Tracing,
    context_of,
    is_unkept,
    span_of_unkept_trace,
)
from prosa.application.ports.turn_runner import AttemptId, TurnRunner


class TracedTurnRunner(TurnRunner):
    """Runs turns elsewhere."""

    def __init__(self, runner: TurnRunner, tracing: Tracing) -> None:
        self._runner = runner
        self._tracing = tracing

    async def start(self, attempt: AttemptId) -> None:
        """Have an attempt run; see the port. Where no trace is kept here, none is there."""
        if is_unkept():
            with Stored(span_of_unkept_trace()):
                await self._runner.start(attempt)
            return
        attributes = _attributes_of(attempt)
        with self._tracing.step(names.HAND_ON, SpanKind.PRODUCER, attributes) as span, Stored(span):
            await self._runner.start(attempt)

    async def check(self) -> None:
        """Look at it."""
        await self._runner.check()


def doing_task(tracing: Tracing, task: str, attempt: AttemptId, traceparent: str | None) -> Block:
    """Make the span of a task, in the trace of the door where that has told of one."""
    return tracing.begin(
        f"{names.TASK} {task}",
        SpanKind.CONSUMER,
        _attributes_of(attempt),
        parent=context_of(traceparent),
    )


def _attributes_of(attempt: AttemptId) -> dict[str, AttributeValue]:
    return {
        names.TENANT_ID: attempt.tenant_id,
        names.TURN_ID: attempt.turn_id,
        names.TURN_ATTEMPT: attempt.number,
    }
