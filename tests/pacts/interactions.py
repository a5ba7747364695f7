"""How a consumer writes down what it relies on: an interaction, played against Pact's server."""

import json
import re
import tempfile
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Generic, TypeVar

from pact import Pact
from pact.interaction import HttpInteraction

PROVIDER = "prosa"
SPECIFICATION = "V4"
JSON = "application/json"
EVENT_STREAM = "text/event-stream"
PROBLEM = "application/problem+json"

EXAMPLES = {
    "conversation_id": "conv_0198c0de7a5b7c3d8e9f0a1b2c3d4e5f",
    "turn_id": "turn_0198c0de7a5b7c3d8e9f0a1b2c3d4e61",
    "last_event_id": "4",
    "customer_token": "token-of-ana",
    "service_token": "token-of-the-order-desk",
    "idempotency_key": "8e03978e-40d5-43e8-bc93-6894a57f9324",
}
"""What the provider's state names: examples for a consumer's tests, real ones for the provider."""

Client = TypeVar("Client")
Written = dict[str, Any]
"""An interaction, as the file of a pact has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """What a consumer sends. `${name}` stands for what the provider's state names so."""

    method: str
    path: str
    headers: Mapping[str, Any]
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stream:
    """Server-sent events: an example, and the pattern that says what of it is relied on."""

    example: str
    pattern: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a consumer relies on, and nothing else: values, or matchers of Pact's."""

    status: int = 200
    content_type: str | None = JSON
    headers: Mapping[str, Any] = field(default_factory=dict)
    body: Mapping[str, Any] | Stream | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Interaction(Generic[Client]):
    """What a consumer asks, in which state of the provider, and what it makes of the answer."""

    description: str
    state: str
    request: Request
    answer: Answer
    use: Callable[[Client], object]
    gives: object


def play(
    consumer: str,
    interaction: Interaction[Client],
    opened: Callable[[str], AbstractContextManager[Client]],
) -> Written:
    """Have a consumer's own code ask Pact's server; give the interaction as pacts have it."""
    pact = Pact(consumer, PROVIDER).with_specification(SPECIFICATION)
    described = pact.upon_receiving(interaction.description).given(interaction.state)
    _describe_request(described, interaction.request)
    _describe_answer(described, interaction.answer)
    with pact.serve() as server, opened(str(server.url)) as client:
        assert interaction.use(client) == interaction.gives
    return written(pact)[0]


def play_message(
    consumer: str, kind: str, message: Mapping[str, Any], take: Callable[[str], None]
) -> Written:
    """Have a consumer's own code take a message; give it as pacts have it."""
    pact = Pact(consumer, PROVIDER).with_specification(SPECIFICATION)
    pact.upon_receiving(kind, "Async").with_body(dict(message), JSON)
    pact.verify(lambda contents, _metadata: take(_text(contents)), "Async")
    return written(pact)[0]


def _text(contents: str | bytes | None) -> str:
    assert contents is not None
    return contents if isinstance(contents, str) else contents.decode()


def written(pact: Pact) -> list[Written]:
    """Give the interactions of a pact as its file has them."""
    with tempfile.TemporaryDirectory(prefix="prosa-pacts-") as folder:
        pact.write_file(folder)
        (file,) = Path(folder).iterdir()
        interactions: list[Written] = json.loads(file.read_text(encoding="utf-8"))["interactions"]
        return interactions


def _describe_request(described: HttpInteraction, request: Request) -> None:
    described.with_request(request.method, exemplified(request.path))
    described.with_headers({name: _exemplified_value(it) for name, it in request.headers.items()})
    described.with_query_parameters(
        {name: exemplified(text) for name, text in request.query.items()}
    )
    if request.body is not None:
        body = {name: _exemplified_value(value) for name, value in request.body.items()}
        described.with_body(body, JSON)
    described.with_generators(_generators(request))


def _describe_answer(described: HttpInteraction, answer: Answer) -> None:
    described.will_respond_with(answer.status)
    described.with_headers(dict(answer.headers))
    if answer.content_type is not None:
        described.with_header("Content-Type", answer.content_type)
    if isinstance(answer.body, Stream):
        described.with_body(answer.body.example, EVENT_STREAM)
        rule = {"match": "regex", "regex": answer.body.pattern}
        described.with_matching_rules({"body": {"$": {"combine": "AND", "matchers": [rule]}}})
    elif answer.body is not None:
        described.with_body(dict(answer.body), answer.content_type)


def exemplified(text: str) -> str:
    """Put the examples where the provider's state has the real ones."""
    return re.sub(r"\$\{(\w+)\}", lambda found: EXAMPLES[found[1]], text)


def _exemplified_value(value: Any) -> Any:  # noqa: ANN401 - what JSON may be, or a matcher
    return exemplified(value) if isinstance(value, str) else value


def _generators(request: Request) -> dict[str, Any]:
    """Say where the provider's side puts what its state names."""
    headers = _generated(request.headers)
    query = _generated(request.query)
    body = {f"$.{name}": told for name, told in _generated(request.body or {}).items()}
    path = _generated({"": request.path}).get("")
    found = {"path": path, "header": headers, "query": query, "body": body}
    return {part: told for part, told in found.items() if told}


def _generated(texts: Mapping[str, object]) -> dict[str, Any]:
    return {
        name: {"type": "ProviderState", "expression": text, "dataType": "STRING"}
        for name, text in texts.items()
        if isinstance(text, str) and "${" in text
    }
