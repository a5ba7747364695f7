"""An event bus, seen: each event is published in the trace that it was stored in.

A batch has a span of its own, with a link to each of them, as OpenTelemetry has it for messages.
https://opentelemetry.io/docs/specs/semconv/messaging/messaging-spans/
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from opentelemetry.context import Context
from opentelemetry.trace import Link, Span, SpanKind

from prosa.adapters.event_format import traceparent_in
from prosa.adapters.opentelemetry import names
from prosa.adapters.opentelemetry.spans import Tracing, context_of, fail, span_context_in
from prosa.application.ports.event_bus import EventBus, PublishedEvent, RefusedEvent

REFUSED: Final = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Origin:
    """An event, and the span that stored it."""

    event: PublishedEvent
    context: Context


class TracedEventBus(EventBus):
    """Takes events."""

    def __init__(self, bus: EventBus, tracing: Tracing, *, system: str, destination: str) -> None:
        """`system` and `destination` name it: `aws.eventbridge` and the bus' name."""
        self._bus = bus
        self._tracing = tracing
        self._attributes = {
            names.MESSAGING_SYSTEM: system,
            names.MESSAGING_DESTINATION: destination,
            names.MESSAGING_OPERATION: names.PUBLISH,
            names.MESSAGING_TYPE: "send",
        }

    async def check(self) -> None:
        """Look at the bus."""
        await self._bus.check()

    async def publish(self, events: Sequence[PublishedEvent]) -> tuple[RefusedEvent, ...]:
        """Hand the events over; see the port."""
        origins = _origins_of(events)
        if not origins:
            return await self._bus.publish(events)
        links = [Link(span_context_in(origin.context)) for origin in origins]
        attributes: dict[str, str | int] = {**self._attributes, names.MESSAGING_BATCH: len(events)}
        began_at = time.time_ns()
        outcome: dict[str, str] = {}
        with self._tracing.begin(names.RELAY, SpanKind.CLIENT, attributes, links=links) as batch:
            try:
                refused = await self._bus.publish(events)
                outcome = dict.fromkeys((one.id for one in refused), REFUSED)
            except BaseException as error:
                outcome = dict.fromkeys((event.id for event in events), type(error).__name__)
                raise
            finally:
                self._tell(origins, batch, began_at, outcome)
        return refused

    def _tell(
        self, origins: Sequence[_Origin], batch: Span, began_at: int, outcome: dict[str, str]
    ) -> None:
        """Tell each trace what came of its event; an event that is in `outcome` was not taken."""
        links = [Link(batch.get_span_context())]
        for origin in origins:
            event = origin.event
            attributes = {
                **self._attributes,
                names.MESSAGING_ID: event.id,
                names.CLOUD_EVENT_TYPE: event.type,
            }
            span = self._tracing.told_later(
                f"{names.PUBLISH} {event.type}",
                SpanKind.PRODUCER,
                attributes,
                parent=origin.context,
                began_at=began_at,
                links=links,
            )
            if event.id in outcome:
                fail(span, outcome[event.id])
            span.end()


def _origins_of(events: Sequence[PublishedEvent]) -> list[_Origin]:
    """Find those that were stored in a trace that is kept."""
    kept = [(event, known) for event in events if (known := traceparent_in(event.envelope))]
    found = ((event, context_of(traceparent)) for event, traceparent in kept)
    return [_Origin(event=event, context=context) for event, context in found if context]
