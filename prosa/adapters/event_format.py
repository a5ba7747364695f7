"""The published event format: CloudEvents 1.0, shared by the outbox and the bus.

Stored whole when the event happens, so that an old event is never decoded by newer code. What is
in an event is described in event_schemas.py, for whoever reads it. Source:
https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md
"""

import re
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any

import orjson

from prosa.application.ports.event_bus import PublishedEvent
from prosa.application.ports.reply_outlet import OutgoingReply
from prosa.domain import events
from prosa.domain.identifiers import EventId, NewHex
from prosa.domain.intent import Intent
from prosa.domain.reply import Provenance

SOURCE = "prosa.conversations"
MODELS_SOURCE = "prosa.language_models"
BREAKER_MOVED = "language_model.breaker.moved.v1"
REPLY_READY = "conversation.reply.ready.v1"
SCHEMA = "urn:prosa:event:"
"""What the name of a schema begins with; the event's type follows. A name, and no address."""

TRACEPARENT: ContextVar[str | None] = ContextVar("traceparent", default=None)
"""The trace (W3C Trace Context) to which what is written now belongs, where one is kept.

https://github.com/cloudevents/spec/blob/main/cloudevents/extensions/distributed-tracing.md
"""

_KEPT_TRACE = re.compile(r'"traceparent": ?"([0-9a-f-]{53}[0-9a-f][13579bdf])"')
"""The last bit says whether the trace is kept."""

_TYPES: dict[type[events.Event], str] = {
    events.ConversationStarted: "conversation.started.v1",
    events.ConversationClosed: "conversation.closed.v1",
    events.TurnStarted: "conversation.turn.started.v1",
    events.TurnCompleted: "conversation.turn.completed.v1",
    events.TurnFailed: "conversation.turn.failed.v1",
}


def type_of(event: events.Event) -> str:
    """Name the event's published type, with its version."""
    return _TYPES[type(event)]


def envelope_of(event: events.Event) -> str:
    """Render the whole CloudEvents object as JSON: identifiers and facts, never what was said."""
    kind = type_of(event)
    return orjson.dumps(
        {
            "specversion": "1.0",
            "id": event.id,
            "source": SOURCE,
            "type": kind,
            "subject": event.conversation_id,
            "time": _written(event.occurred_at),
            "datacontenttype": "application/json",
            "dataschema": f"{SCHEMA}{kind}",
            "tenantid": event.tenant_id,
            **_trace(),
            **_links_of(event),
            "data": {
                "conversation_id": event.conversation_id,
                "sequence": event.sequence,
                **_data_of(event),
            },
        }
    ).decode()


def _trace() -> dict[str, str]:
    traceparent = TRACEPARENT.get()
    return {} if traceparent is None else {"traceparent": traceparent}


def _links_of(event: events.Event) -> dict[str, str]:
    """Say what it belongs to; and of a turn, which message it was that caused it."""
    match event:
        case events.TurnStarted() | events.TurnCompleted() | events.TurnFailed():
            return {"correlationid": event.turn_id, "causationid": event.message_id}
        case _:
            return {"correlationid": event.conversation_id}


def _data_of(event: events.Event) -> dict[str, Any]:
    match event:
        case events.ConversationStarted():
            return {"channel": event.channel}
        case events.ConversationClosed():
            return {"message_count": event.message_count}
        case events.TurnStarted():
            return _turn_of(event)
        case events.TurnCompleted():
            return {
                **_turn_of(event),
                "intent": _intent_of(event.intent),
                "reply_id": event.reply_id,
                "provenance": _provenance_of(event.provenance),
            }
        case events.TurnFailed():
            error = {"code": event.error.code, "retryable": event.error.retryable}
            return {**_turn_of(event), "error": error}
        case _:
            message = f"no published form for {type(event).__name__}"
            raise TypeError(message)


def _turn_of(
    event: events.TurnStarted | events.TurnCompleted | events.TurnFailed,
) -> dict[str, Any]:
    return {"turn_id": event.turn_id, "message_id": event.message_id, "attempt": event.attempt}


def _intent_of(intent: Intent | None) -> dict[str, Any] | None:
    return None if intent is None else {"name": intent.name, "confidence": intent.confidence}


def _provenance_of(provenance: Provenance | None) -> dict[str, Any] | None:
    if provenance is None:
        return None
    prompt = provenance.prompt
    return {
        "finish_reason": provenance.finish_reason,
        "provider": provenance.provider,
        "model": provenance.model,
        "degraded": provenance.degraded,
        "prompt": prompt and {"name": prompt.name, "version": prompt.version},
        "usage": {
            "input_tokens": provenance.usage.input_tokens,
            "output_tokens": provenance.usage.output_tokens,
        },
    }


def breaker_moved_event(
    *, new_hex: NewHex, model: str, before: str, after: str, at: datetime
) -> PublishedEvent:
    """Make the event that a model's breaker moved. It belongs to no tenant and no conversation."""
    event_id = EventId(f"evt_{new_hex()}")
    envelope = {
        "specversion": "1.0",
        "id": event_id,
        "source": MODELS_SOURCE,
        "type": BREAKER_MOVED,
        "subject": model,
        "time": _written(at),
        "datacontenttype": "application/json",
        "dataschema": f"{SCHEMA}{BREAKER_MOVED}",
        "data": {"model": model, "before": before, "after": after},
    }
    return PublishedEvent(id=event_id, type=BREAKER_MOVED, envelope=orjson.dumps(envelope).decode())


def reply_ready_event(reply: OutgoingReply) -> str:
    """Write a reply for its channel: what was said is in it, so it goes onto no bus."""
    envelope = {
        "specversion": "1.0",
        "id": reply.id,
        "source": SOURCE,
        "type": REPLY_READY,
        "subject": reply.conversation_id,
        "time": _written(reply.created_at),
        "datacontenttype": "application/json",
        "dataschema": f"{SCHEMA}{REPLY_READY}",
        "tenantid": reply.tenant_id,
        **_trace(),
        "correlationid": reply.turn_id,
        "causationid": reply.message_id,
        "data": {
            "conversation_id": reply.conversation_id,
            "turn_id": reply.turn_id,
            "message_id": reply.message_id,
            "reply_id": reply.id,
            "channel": reply.channel,
            "customer_id": reply.customer_id,
            "text": reply.text,
            "metadata": dict(reply.metadata),
        },
    }
    return orjson.dumps(envelope).decode()


def traceparent_in(envelope: str) -> str | None:
    """Find an envelope's traceparent without reading the rest, where its trace is kept.

    Within a JSON string the quotes would be escaped, so nobody's words are taken for it.
    """
    if '"traceparent"' not in envelope:  # as most are: to look for a word is half of the search
        return None
    found = _KEPT_TRACE.search(envelope)
    return found and found[1]


def _written(moment: datetime) -> str:
    text = moment.astimezone(UTC).isoformat(timespec="microseconds")
    return text.replace("+00:00", "Z")
