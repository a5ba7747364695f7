"""The event reader, a sample consumer of published events: a ledger of turns."""

import hashlib
import json
from dataclasses import dataclass, field
from typing import Any

from pact import match
from pact.match.matcher import AbstractMatcher

from tests.pacts.interactions import EXAMPLES, JSON, Written, play_message
from tests.pacts.shapes import CONVERSATION_ID, MESSAGE_ID, TIME, TURN_ID

CONSUMER = "event-reader"


@dataclass(slots=True)
class Ledger:
    """Counts what turns cost, conversation by conversation, and whether models are well.

    It takes each event once, however often it is delivered, and ignores what it does not know.
    """

    seen: set[str] = field(default_factory=set)
    open_conversations: set[str] = field(default_factory=set)
    running_turns: set[str] = field(default_factory=set)
    tokens: dict[str, int] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    circuits: dict[str, str] = field(default_factory=dict)

    def take(self, contents: str) -> None:
        """Take an event in."""
        event = json.loads(contents)
        if event["id"] in self.seen:
            return
        self.seen.add(event["id"])
        data, about = event["data"], event["subject"]
        match event["type"]:
            case "conversation.started.v1":
                self.open_conversations.add(about)
            case "conversation.closed.v1":
                self.open_conversations.discard(about)
            case "conversation.turn.started.v1":
                self.running_turns.add(data["turn_id"])
            case "conversation.turn.completed.v1":
                self.running_turns.discard(data["turn_id"])
                usage = data["provenance"]["usage"]
                self.tokens[about] = usage["input_tokens"] + usage["output_tokens"]
            case "conversation.turn.failed.v1":
                self.running_turns.discard(data["turn_id"])
                self.failures[data["turn_id"]] = data["error"]["code"]
            case "language_model.breaker.moved.v1":
                self.circuits[data["model"]] = data["after"]


CONVERSATION = EXAMPLES["conversation_id"]
TURN = EXAMPLES["turn_id"]
COUNT = match.int(1)


def _event_id(kind: str) -> AbstractMatcher[str]:
    """Expect the id of an event; the example is another one for each kind."""
    digits = hashlib.sha256(kind.encode()).hexdigest()[:32]
    return match.regex(f"evt_{digits}", regex="^evt_[0-9a-f]{32}$")


def _event(kind: str, **more: Any) -> dict[str, Any]:  # noqa: ANN401 - values or matchers
    return {
        "specversion": "1.0",
        "id": _event_id(kind),
        "type": kind,
        "time": TIME,
        "datacontenttype": JSON,
        "dataschema": f"urn:prosa:event:{kind}",
        **more,
    }


def _of_conversation(kind: str, **data: Any) -> dict[str, Any]:  # noqa: ANN401 - as above
    return _event(
        kind,
        source="prosa.conversations",
        subject=CONVERSATION_ID,
        tenantid=match.like("acme"),
        correlationid=CONVERSATION_ID,
        data={"conversation_id": CONVERSATION_ID, "sequence": COUNT, **data},
    )


def _of_turn(kind: str, **data: Any) -> dict[str, Any]:  # noqa: ANN401 - as above
    turn = {"turn_id": TURN_ID, "message_id": MESSAGE_ID, "attempt": COUNT}
    event = _of_conversation(kind, **turn, **data)
    return {**event, "correlationid": TURN_ID, "causationid": MESSAGE_ID}


RELIED_ON: dict[str, dict[str, Any]] = {
    event["type"]: event
    for event in (
        _of_conversation("conversation.started.v1", channel=match.like("whatsapp")),
        _of_conversation("conversation.closed.v1", message_count=match.int(2)),
        _of_turn("conversation.turn.started.v1"),
        _of_turn(
            "conversation.turn.completed.v1",
            intent={"name": match.like("order_status"), "confidence": match.number(0.93)},
            reply_id=MESSAGE_ID,
            provenance={
                "finish_reason": "stop",
                "provider": match.like("openai"),
                "model": match.like("gpt-4o-mini"),
                "degraded": False,
                "prompt": {"name": match.like("support_agent"), "version": match.like("1")},
                "usage": {"input_tokens": match.int(210), "output_tokens": match.int(42)},
            },
        ),
        _of_turn(
            "conversation.turn.failed.v1",
            error={"code": match.like("model_rejected"), "retryable": match.bool(False)},
        ),
        _event(
            "language_model.breaker.moved.v1",
            source="prosa.language_models",
            subject=match.like("scripted"),
            data={"model": match.like("scripted"), "before": "closed", "after": "open"},
        ),
    )
}
"""What the reader relies on of each event, by its type."""


def played(kind: str, ledger: Ledger) -> Written:
    """Have the reader take an event as it relies on it."""
    return play_message(CONSUMER, kind, RELIED_ON[kind], ledger.take)
