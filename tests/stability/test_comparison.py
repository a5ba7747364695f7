"""What breaks is told with its path, and what is only added passes: on the API's own document."""

import copy
import json
from collections.abc import Callable
from typing import Any

import pytest

from docs.api.generate import DOCUMENT
from tests.stability import openapi
from tests.stability.schemas import Change, UnknownKeyword

TODAY: dict[str, Any] = json.loads(DOCUMENT.read_text(encoding="utf-8"))
SEND = "POST /v1/messages"
LIST = "GET /v1/conversations"
READ = "GET /v1/turns/{turn_id}"
READ_CONVERSATION = "GET /v1/conversations/{conversation_id}"
STATUSES = "completed, failed, running"
EVENTS = "turn.completed, turn.delta, turn.failed, turn.started"

Edit = Callable[[dict[str, Any]], object]


def operation(document: dict[str, Any], name: str = SEND) -> dict[str, Any]:
    method, _, path = name.partition(" ")
    found: dict[str, Any] = document["paths"][path][method.lower()]
    return found


def shape(document: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = document["components"]["schemas"][name]
    return found


def field(document: dict[str, Any], model: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = shape(document, model)["properties"][name]
    return found


def key(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = operation(document)["parameters"][0]
    assert found["name"] == "Idempotency-Key"
    return found


def limit(document: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = operation(document, LIST)["parameters"][0]["schema"]
    return found


def answer(document: dict[str, Any], status: str) -> dict[str, Any]:
    found: dict[str, Any] = operation(document)["responses"][status]
    return found


PROBLEM = "application/problem+json"
NEW_FIELD = {"type": "string"}

BREAKS: dict[str, tuple[Edit, str]] = {
    "a path is gone": (
        lambda it: it["paths"].pop("/message"),
        "POST /message is gone",
    ),
    "a method is gone": (
        lambda it: it["paths"]["/v1/conversations"].pop("get"),
        f"{LIST} is gone",
    ),
    "a token is asked for": (
        lambda it: operation(it, "GET /healthz").update(security=[{"token": []}]),
        "GET /healthz asks for a token now",
    ),
    "a parameter is gone": (
        lambda it: operation(it, LIST)["parameters"].pop(),
        f"{LIST}: query customer_id is gone",
    ),
    "a parameter is needed": (
        lambda it: key(it).update(required=True),
        f"{SEND}: header Idempotency-Key has to be sent now",
    ),
    "a new parameter is needed": (
        lambda it: operation(it)["parameters"].append(
            {"in": "header", "name": "X-Tenant", "required": True, "schema": NEW_FIELD}
        ),
        f"{SEND}: header X-Tenant has to be sent now",
    ),
    "a parameter may be less": (
        lambda it: limit(it).update(maximum=50),
        f"{LIST}: query limit: maximum was 100, is 50",
    ),
    "a parameter may not be what it was": (
        lambda it: operation(it, LIST)["parameters"][2]["schema"].update(enum=["desc"]),
        f"{LIST}: query order: values was asc, desc, is desc",
    ),
    "a body is needed": (
        lambda it: operation(it, "POST /v1/conversations/{conversation_id}/close").update(
            requestBody={"required": True, "content": {}}
        ),
        "POST /v1/conversations/{conversation_id}/close: a body has to be sent now",
    ),
    "a media type of a body is gone": (
        lambda it: operation(it)["requestBody"]["content"].clear(),
        f"{SEND}: body: application/json is gone",
    ),
    "a field of a body is needed": (
        lambda it: shape(it, "FirstMessage")["required"].append("customer_id"),
        f"{SEND}: body.customer_id has to be sent now",
    ),
    "a field of a body is gone": (
        lambda it: shape(it, "FirstMessage")["properties"].pop("channel"),
        f"{SEND}: body.channel is gone",
    ),
    "a text may be less long": (
        lambda it: field(it, "FirstMessage", "text").update(maxLength=4_000),
        f"{SEND}: body.text: maxLength was 8000, is 4000",
    ),
    "a text has to be longer": (
        lambda it: field(it, "FirstMessage", "text").update(minLength=2),
        f"{SEND}: body.text: minLength was 1, is 2",
    ),
    "a text has another pattern": (
        lambda it: field(it, "FirstMessage", "text").update(pattern="^[a-z]*$"),
        f"{SEND}: body.text: pattern was ^[^\\u0000]*$, is ^[a-z]*$",
    ),
    "a field of a body may not be null": (
        lambda it: field(it, "FirstMessage", "customer_id")["anyOf"].pop(),
        f"{SEND}: body.customer_id: type was null, is string",
    ),
    "metadata may have fewer names": (
        lambda it: field(it, "FirstMessage", "metadata").update(maxProperties=8),
        f"{SEND}: body.metadata: maxProperties was 16, is 8",
    ),
    "names of metadata may be less long": (
        lambda it: field(it, "FirstMessage", "metadata")["propertyNames"].update(maxLength=8),
        f"{SEND}: body.metadata.propertyNames: maxLength was 64, is 8",
    ),
    "values of metadata may be less long": (
        lambda it: next(
            iter(field(it, "FirstMessage", "metadata")["patternProperties"].values())
        ).update(maxLength=8),
        f"{SEND}: body.metadata.*: maxLength was 512, is 8",
    ),
    "a status is gone": (
        lambda it: operation(it)["responses"].pop("202"),
        f"{SEND}: the answer 202 is gone",
    ),
    "a header is gone": (
        lambda it: answer(it, "202")["headers"].pop("Location"),
        f"{SEND}: the header Location of the answer 202 is gone",
    ),
    "a stream is gone": (
        lambda it: answer(it, "200")["content"].pop("text/event-stream"),
        f"{SEND}: answer 200: text/event-stream is gone",
    ),
    "a problem is gone": (
        lambda it: answer(it, "409")["content"][PROBLEM]["examples"].pop("conversation_busy"),
        f"{SEND}: answer 409: the problem conversation_busy is gone",
    ),
    "a field of an answer is gone": (
        lambda it: shape(it, "Turn")["properties"].pop("completed_at"),
        f"{READ}: answer 200.completed_at is gone",
    ),
    "a field within an answer is gone": (
        lambda it: shape(it, "TokenUsage")["properties"].pop("input_tokens"),
        f"{READ}: answer 200.reply.usage.input_tokens is gone",
    ),
    "a field of an answer may be missing": (
        lambda it: shape(it, "Turn")["required"].remove("attempt"),
        f"{READ}: answer 200.attempt may be missing now",
    ),
    "a field of an answer has another type": (
        lambda it: field(it, "Turn", "attempt").update(type="string"),
        f"{READ}: answer 200.attempt: type was integer, is string",
    ),
    "a field of an answer may be null": (
        lambda it: field(it, "Turn", "id").update(anyOf=[{"type": "string"}, {"type": "null"}]),
        f"{READ}: answer 200.id: type was string, is null",
    ),
    "a field of an answer has a value that nobody knew": (
        lambda it: shape(it, "TurnStatus")["enum"].append("parked"),
        f"{READ}: answer 200.status: values was {STATUSES}, is completed, failed, parked, running",
    ),
    "an event of a stream that nobody knew": (
        lambda it: answer(it, "200")["content"]["text/event-stream"]["itemSchema"]["properties"][
            "event"
        ]["enum"].append("a.new.one"),
        f"{SEND}: answer 200: event.event: values was {EVENTS}, is a.new.one, {EVENTS}",
    ),
    "items of a list are something else": (
        lambda it: field(it, "ConversationList", "data").update(items={"type": "string"}),
        f"{LIST}: answer 200.data.items: type was object, is string",
    ),
    "values in a field of an answer are something else": (
        lambda it: field(it, "Conversation", "metadata").update(
            additionalProperties={"type": "integer"}
        ),
        f"{READ_CONVERSATION}: answer 200.metadata.*: type was string, is integer",
    ),
}

ADDITIONS: dict[str, Edit] = {
    "nothing": lambda _: None,
    "a path": lambda it: it["paths"].update({"/v1/usage": {"get": {"responses": {}}}}),
    "a parameter": lambda it: operation(it, LIST)["parameters"].append(
        {"in": "query", "name": "channel", "schema": NEW_FIELD}
    ),
    "more of a parameter": lambda it: limit(it).update(maximum=500),
    "a field of a body": lambda it: shape(it, "FirstMessage")["properties"].update(new=NEW_FIELD),
    "a longer text": lambda it: field(it, "FirstMessage", "text").update(maxLength=9_000),
    "any text": lambda it: field(it, "FirstMessage", "text").pop("pattern"),
    "a field that need not be sent": lambda it: shape(it, "FirstMessage").pop("required"),
    "a body that may be null": lambda it: field(it, "FirstMessage", "text").update(
        anyOf=[{**field(it, "FirstMessage", "text")}, {"type": "null"}]
    ),
    "a status": lambda it: operation(it)["responses"].update({"429": {"content": {}}}),
    "a header": lambda it: answer(it, "200")["headers"].update(RateLimit={}),
    "a media type": lambda it: answer(it, "200")["content"].update({"text/plain": {}}),
    "a problem": lambda it: answer(it, "409")["content"][PROBLEM]["examples"].update(
        new={"value": {"code": "new"}}
    ),
    "a field of an answer": lambda it: shape(it, "Turn")["properties"].update(new=NEW_FIELD),
    "a needed field of an answer": lambda it: shape(it, "ProblemDocument")["required"].append(
        "instance"
    ),
    "fewer values of an answer": lambda it: shape(it, "FinishReason")["enum"].remove("error"),
    "a whole number for any": lambda it: field(it, "Intent", "confidence").update(type="integer"),
    "an answer that is never null": lambda it: field(it, "Turn", "completed_at")["anyOf"].pop(),
    "other words": lambda it: field(it, "Turn", "id").update(description="Its id.", title="It"),
}


def breaks_of(edit: Edit) -> list[str]:
    now = copy.deepcopy(TODAY)
    edit(now)
    return [*openapi.breaks(TODAY, now)]


@pytest.mark.parametrize(("edit", "told"), BREAKS.values(), ids=BREAKS)
def test_it_is_told_where(edit: Edit, told: str) -> None:
    assert told in breaks_of(edit)


@pytest.mark.parametrize("edit", ADDITIONS.values(), ids=ADDITIONS)
def test_what_may_be_added_is(edit: Edit) -> None:
    assert breaks_of(edit) == []


def test_a_schema_that_says_more_than_is_compared_is_an_error() -> None:
    with pytest.raises(UnknownKeyword, match="contentEncoding"):
        breaks_of(lambda it: field(it, "Turn", "id").update(contentEncoding="base64"))


@pytest.mark.parametrize(("sent", "broken"), [(True, True), (False, False)])
def test_fields_without_a_name_are_refused_to_who_sends_and_ignored_by_who_reads(
    *, sent: bool, broken: bool
) -> None:
    was: dict[str, Any] = {"type": "object", "properties": {}}
    now = {**was, "additionalProperties": False}
    change = Change(was=was, now=now, old={}, new={}, sent=sent, path="it")
    assert bool([*change.breaks()]) == broken
