"""Published events are what their schemas say, and the schemas are what is documented."""

import json
import subprocess
import sys
from datetime import datetime, timedelta, timezone
from typing import Any

import pytest

from docs.events import generate
from prosa.adapters.event_format import breaker_moved_event, envelope_of, type_of
from prosa.adapters.event_schemas import EVENTS, json_schema
from prosa.domain import events
from prosa.domain.identifiers import ConversationId, EventId, MessageId, TenantId, TurnId
from prosa.domain.intent import Intent
from prosa.domain.reply import FinishReason, PromptReference, Provenance, TokenUsage
from prosa.domain.turn import TurnError
from prosa.testing.builders import NOON, PROMPT, VirtualClock

DIGITS = "0123456789abcdef" * 2
OF_CONVERSATION: dict[str, Any] = {
    "id": EventId(f"evt_{DIGITS}"),
    "tenant_id": TenantId("acme"),
    "conversation_id": ConversationId(f"conv_{DIGITS}"),
    "sequence": 7,
    "occurred_at": NOON,
}
OF_TURN: dict[str, Any] = {
    **OF_CONVERSATION,
    "turn_id": TurnId(f"turn_{DIGITS}"),
    "message_id": MessageId(f"msg_{DIGITS}"),
    "attempt": 2,
}


def provenance(
    finish_reason: FinishReason = FinishReason.STOP, prompt: PromptReference | None = PROMPT
) -> Provenance:
    return Provenance(
        finish_reason=finish_reason,
        provider="openai",
        model="gpt-4o-mini",
        degraded=False,
        usage=TokenUsage(input_tokens=21, output_tokens=4),
        prompt=prompt,
    )


def completed(
    made: Provenance | None, *, intent: Intent | None = None, reply_id: str | None = None
) -> events.TurnCompleted:
    known = MessageId(reply_id) if reply_id else None
    return events.TurnCompleted(**OF_TURN, intent=intent, reply_id=known, provenance=made)


HAPPENED = [
    events.ConversationStarted(**OF_CONVERSATION, customer_id="customer-7", channel="web"),
    events.ConversationStarted(**OF_CONVERSATION, customer_id=None, channel=None),
    events.ConversationClosed(**OF_CONVERSATION, message_count=0),
    events.TurnStarted(**OF_TURN),
    completed(None),
    completed(provenance(prompt=None)),
    *[
        completed(
            provenance(reason),
            intent=Intent(name="refund", confidence=0.93),
            reply_id=f"msg_{DIGITS}",
        )
        for reason in FinishReason
    ],
    events.TurnFailed(**OF_TURN, error=TurnError(code="model_timed_out", retryable=True)),
]


def test_every_kind_of_event_is_tried_here() -> None:
    tried = {type(event).__name__ for event in HAPPENED}
    assert tried == {kind.__name__ for kind in events.Event.__subclasses__()}


@pytest.mark.parametrize("event", HAPPENED)
def test_what_is_published_is_what_its_schema_says_and_no_more(event: events.Event) -> None:
    require_described(type_of(event), envelope_of(event))


def test_a_breaker_that_moved_is_what_its_schema_says_and_no_more() -> None:
    event = breaker_moved_event(
        new_hex=VirtualClock().new_hex, model="openai:m", before="closed", after="open", at=NOON
    )
    require_described(event.type, event.envelope)


def require_described(kind: str, envelope: str) -> None:
    """Read it by its schema and write it again: what is not described would be lost."""
    read = EVENTS[kind].model_validate_json(envelope, strict=True)
    assert read.model_dump(mode="json", exclude_unset=True) == json.loads(envelope)


def test_an_envelope_has_what_cloudevents_and_its_readers_need() -> None:
    envelope = json.loads(envelope_of(HAPPENED[3]))
    assert list(envelope) == [
        "specversion",
        "id",
        "source",
        "type",
        "subject",
        "time",
        "datacontenttype",
        "dataschema",
        "tenantid",
        "correlationid",
        "causationid",
        "data",
    ]
    assert envelope["dataschema"] == "urn:prosa:event:conversation.turn.started.v1"
    assert (envelope["correlationid"], envelope["causationid"]) == (
        f"turn_{DIGITS}",
        f"msg_{DIGITS}",
    )


def test_the_time_is_in_utc_wherever_it_was_told() -> None:
    elsewhere = datetime(2026, 3, 2, 9, tzinfo=timezone(timedelta(hours=-3)))
    event = events.ConversationClosed(
        **{**OF_CONVERSATION, "occurred_at": elsewhere}, message_count=1
    )
    assert json.loads(envelope_of(event))["time"] == "2026-03-02T12:00:00.000000Z"


def test_nothing_of_a_customer_is_in_an_event() -> None:
    assert "customer-7" not in envelope_of(HAPPENED[0])


@pytest.mark.parametrize("kind", EVENTS)
def test_a_schema_is_named_as_its_events_name_it(kind: str) -> None:
    schema = json_schema(kind)
    assert schema["properties"]["dataschema"]["const"] == schema["$id"]
    assert schema["properties"]["type"]["const"] == kind


def test_the_documentation_is_up_to_date() -> None:
    stale = [path.name for path, text in generate.files() if path.read_text("utf-8") != text]
    assert stale == [], "run `make docs`"


def test_writing_events_does_not_load_what_describes_them() -> None:
    code = "import sys, prosa.adapters.event_format; sys.exit('pydantic' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == 0
