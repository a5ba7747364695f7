"""The words of the OpenAPI document: answers, headers, problems and an example of each."""

from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from prosa.domain.field_rules import MAX_KEY_CHARACTERS
from prosa.entrypoints.http import schemas
from prosa.entrypoints.http.examples import EVENTS, EXAMPLES, TRACE_ID
from prosa.entrypoints.http.links import add_links
from prosa.entrypoints.http.preferences import EVENT_STREAM, JSON
from prosa.entrypoints.http.problem_table import PROBLEM_OF_CODE, Problem
from prosa.entrypoints.http.problems import MEDIA_TYPE, TYPE_PREFIX

Answers = dict[int | str, dict[str, Any]]

REFERENCE = "#/components/schemas/{model}"
EXAMPLE_REFERENCE = "#/components/examples/{name}"

DESCRIPTION = """
Customer-service conversations with AI. `POST /v1/messages` is the one call that a client needs.

* Send an `Idempotency-Key` with each POST; without one, a key is made and returned. The same key
  and body bring the same answer, however often they come.
* Ask for `Accept: text/event-stream` to read a reply while it is written, or `Prefer:
  respond-async` to fetch it later.
* Send `Authorization: Bearer TOKEN` where the installation asks for it. A customer's token reaches
  that customer's conversations; others are not found.
* Bodies are JSON in UTF-8, sent as they are: one with a `Content-Encoding` other than `identity`
  is refused.
* Problems are RFC 9457 documents; their `code` is for programs. `Retry-After` says when to ask
  again.
* A later version may say more: ignore fields, and codes of problems, that you do not know.
* `X-Request-Id` and `traceparent` (W3C Trace Context) are taken over where they are sent, made
  where not, and returned.
"""

TAGS = [
    {"name": "messages", "description": "What customers write, and the replies."},
    {"name": "conversations", "description": "The threads that messages belong to."},
    {"name": "turns", "description": "One customer message each, and what came of it."},
    {"name": "health", "description": "For load balancers and people on call."},
]

_HEADERS = {
    "Idempotency-Key": "The key of the request, or the one that was made for it.",
    "Idempotent-Replayed": "`true` where an earlier request with this key brought it about.",
    "Location": "The address of the turn, or of what was created.",
    "Preference-Applied": "`respond-async`, where that was asked for and done.",
    "Retry-After": "Whole seconds after which to ask again.",
    "Allow": "The methods of this address.",
    "WWW-Authenticate": "`Bearer`, and `invalid_token` where the token that was sent is none.",
    "X-Request-Id": "The request's id: the one that was sent, or one that was made.",
}


def header_documents(*names: str) -> dict[str, Any]:
    """Document headers of an answer."""
    return {name: {"description": _HEADERS[name], "schema": {"type": "string"}} for name in names}


def json_of(
    model: type[BaseModel], example: str, description: str, *headers: str
) -> dict[str, Any]:
    """Document an answer that holds a model; the example is one of EXAMPLES, by its name."""
    reference = {"$ref": EXAMPLE_REFERENCE.format(name=example)}
    return {
        "description": description,
        "headers": header_documents("X-Request-Id", *headers),
        "content": {JSON: {"schema": _reference(model), "examples": {example: reference}}},
    }


def answers(good: Mapping[int, dict[str, Any]], *codes: str) -> Answers:
    """Document the answers of a route that asks who asks: the good ones, and problems by code."""
    return answers_to_anybody(good, *codes, "unauthenticated", "forbidden", "identity_unavailable")


def answers_to_anybody(good: Mapping[int, dict[str, Any]], *codes: str) -> Answers:
    """Document a route's answers: the good ones, the problems by code, and the internal error."""
    documented: Answers = dict(good.items())
    by_status: dict[int, list[Problem]] = {}
    for code in (*codes, "internal_error"):
        problem = PROBLEM_OF_CODE[code]
        by_status.setdefault(problem.status, []).append(problem)
    for status, problems in by_status.items():
        documented.setdefault(status, _problem_document(problems))
    return documented


def complete(app: FastAPI) -> None:
    """Add to the app's OpenAPI document the shapes that only answers have."""
    generate = app.openapi

    def openapi() -> dict[str, Any]:
        if app.openapi_schema is None:
            _complete(generate())
        return generate()

    app.openapi = openapi  # type: ignore[method-assign] # FastAPI's documented way


UNAUTHENTICATED = "401"
_SCHEME = "token"
_BEARER = {
    "type": "http",
    "scheme": "bearer",
    "bearerFormat": "JWT",
    "description": (
        "An access token of the installation's issuer. Where the installation authenticates nobody "
        "(`PROSA_AUTH=none`, for development) none is needed."
    ),
}


def _complete(document: dict[str, Any]) -> None:
    """Describe answers, and no longer FastAPI's own 422, which no route gives."""
    _, defined = models_json_schema(
        [(model, "serialization") for model in _ANSWERED], ref_template=REFERENCE
    )
    # Only here: FastAPI leaves nulls out of what routes document.
    document["components"]["examples"] = {
        name: {"value": example} for name, example in EXAMPLES.items()
    }
    shapes = document["components"]["schemas"]
    shapes.update({name: _open_ended(shape) for name, shape in defined["$defs"].items()})
    del shapes["HTTPValidationError"], shapes["ValidationError"]
    document["components"]["securitySchemes"] = {_SCHEME: _BEARER}
    for path in document["paths"].values():
        for operation in path.values():
            if UNAUTHENTICATED in operation["responses"]:
                operation["security"] = [{_SCHEME: []}]
            if JSON in operation["responses"].get("422", {}).get("content", {}):
                del operation["responses"]["422"]
    add_links(document)


def _open_ended(shape: dict[str, Any]) -> dict[str, Any]:
    """Promise of an answer what is there, and not that a later version says no more."""
    return {word: said for word, said in shape.items() if word != "additionalProperties"}


_ANSWERED: tuple[type[BaseModel], ...] = (
    schemas.Alive,
    schemas.Conversation,
    schemas.ConversationList,
    schemas.MessageList,
    schemas.ProblemDocument,
    schemas.Readiness,
    schemas.Turn,
)


def _reference(model: type[BaseModel]) -> dict[str, str]:
    return {"$ref": REFERENCE.format(model=model.__name__)}


def _problem_document(problems: list[Problem]) -> dict[str, Any]:
    headers = ["X-Request-Id"]
    if any(problem.retry_after for problem in problems):
        headers.append("Retry-After")
    headers += dict.fromkeys(name for problem in problems for name in problem.headers)
    return {
        "description": "; ".join(dict.fromkeys(problem.title for problem in problems)) + ".",
        "headers": header_documents(*headers),
        "content": {
            MEDIA_TYPE: {
                "schema": _reference(schemas.ProblemDocument),
                "examples": {problem.code: {"value": _example(problem)} for problem in problems},
            }
        },
    }


def _example(problem: Problem) -> dict[str, object]:
    mended = {"location": "body.text", "code": "missing", "detail": "body.text is required"}
    return {
        "type": TYPE_PREFIX + problem.code,
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
        "trace_id": TRACE_ID,
        "errors": [mended] if problem.code == "validation_error" else [],
    }


_KEY_HEADER = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": (
        "1 to 255 printable ASCII characters, bare or as a quoted string. The same key and body "
        "bring the same answer; a request without one gets a key made for it."
    ),
    "schema": {
        "type": "string",
        "maxLength": MAX_KEY_CHARACTERS,
        "pattern": r'^([!#-~]([ -~]*[!-~])?|"([ !#-\[\]-~]|\\["\\])+")$',
    },
    "example": '"8e03978e-40d5-43e8-bc93-6894a57f9324"',
}
_PREFER_HEADER = {
    "name": "Prefer",
    "in": "header",
    "description": (
        "`respond-async`: answer 202 at once, with the running turn and its address. `wait=N`: "
        "wait N seconds at most."
    ),
    "schema": {"type": "string"},
    "example": "wait=10",
}
_LAST_EVENT_ID_HEADER = {
    "name": "Last-Event-ID",
    "in": "header",
    "description": (
        "The id of the last event that was read: the stream goes on behind it. What is no id of an "
        "event of this turn counts as absent, and so does any id where the turn runs, or ran, more "
        "than once (`attempt` above 1): another attempt says other words."
    ),
    "schema": {"type": "string"},
    "example": "2",
}
IDEMPOTENCY_HEADER: dict[str, Any] = {"parameters": [_KEY_HEADER]}
TURN_HEADERS: dict[str, Any] = {"parameters": [_KEY_HEADER, _PREFER_HEADER]}
EVENTS_HEADER: dict[str, Any] = {"parameters": [_LAST_EVENT_ID_HEADER]}

_STREAM = {
    "schema": {"type": "string"},
    # What one event is, as OpenAPI 3.2 says it; to tools of 3.1 the whole is a text.
    "itemSchema": {
        "type": "object",
        "properties": {
            "id": {"type": "string", "pattern": "^[1-9][0-9]*$"},
            "event": {
                "type": "string",
                "enum": ["turn.started", "turn.delta", "turn.completed", "turn.failed"],
            },
            "data": {"type": "string", "contentMediaType": JSON},
        },
        "required": ["id", "event", "data"],
    },
    "example": EVENTS,
}

CONVERSATION_STARTED = json_of(
    schemas.Conversation,
    "started_conversation",
    "The conversation as it was started.",
    "Idempotency-Key",
    "Idempotent-Replayed",
    "Location",
)

_ANSWERED_TURN = json_of(
    schemas.Turn,
    "turn",
    "The completed turn; with `Accept: text/event-stream` its events. Those of a stream are "
    "`turn.started`, `turn.delta` for each piece of the reply, and `turn.completed` (the whole "
    "turn) or `turn.failed` (a problem); comments in between keep the connection alive. A stream "
    "that breaks off goes on at `/v1/turns/{turn_id}/events`.",
    "Idempotency-Key",
    "Idempotent-Replayed",
)
_ANSWERED_TURN["content"][EVENT_STREAM] = _STREAM

TURN_ANSWERS = answers(
    {
        200: _ANSWERED_TURN,
        202: json_of(
            schemas.Turn,
            "running_turn",
            "The running turn: `Prefer: respond-async` was asked for.",
            "Idempotency-Key",
            "Location",
            "Preference-Applied",
        ),
    },
    "malformed_json",
    "invalid_idempotency_key",
    "conversation_not_found",
    "request_timeout",
    "turn_in_progress",
    "conversation_busy",
    "conversation_closed",
    "payload_too_large",
    "unsupported_media_type",
    "validation_error",
    "idempotency_key_reused",
    "context_too_long",
    "turn_failed",
    "model_rejected",
    "model_unavailable",
    "storage_unavailable",
    "guardrail_unavailable",
    "turn_not_started",
    "shutting_down",
    "interrupted",
    "deadline_exceeded",
)

EVENTS_ANSWERS = answers(
    {
        200: {
            "description": "The events behind `Last-Event-ID`, to the end of the turn.",
            "headers": header_documents("X-Request-Id"),
            "content": {EVENT_STREAM: _STREAM},
        },
        204: {
            "description": "All events were read. An `EventSource` does not connect again.",
            "headers": header_documents("X-Request-Id"),
            "content": {},
        },
    },
    "turn_not_found",
    "storage_unavailable",
)
