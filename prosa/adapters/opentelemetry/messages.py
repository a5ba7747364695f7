"""A message from a queue, seen: its effect has a span in the trace of whoever sent it."""

from opentelemetry.trace import Link, SpanKind

from prosa.adapters.event_format import traceparent_in
from prosa.adapters.opentelemetry import names
from prosa.adapters.opentelemetry.spans import Block, Tracing, context_of, span_context_in
from prosa.application.ports.message_queue import ReceivedMessage


def consuming(tracing: Tracing, message: ReceivedMessage) -> Block:
    """Make the span of a message's effect; a message that names a trace goes on with it."""
    parent = context_of(traceparent_in(message.body))
    return tracing.begin(
        names.CONSUME,
        SpanKind.CONSUMER,
        {
            names.MESSAGING_SYSTEM: names.SQS,
            names.MESSAGING_OPERATION: names.CONSUME,
            names.MESSAGING_TYPE: "process",
            names.MESSAGING_ID: message.id,
        },
        parent=parent,
        links=[Link(span_context_in(parent))] if parent else (),
    )
