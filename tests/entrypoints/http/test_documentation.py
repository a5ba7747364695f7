"""The OpenAPI document: every route with its answers and problems, each with an example."""

import base64
import hashlib
import re
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from prosa.entrypoints.http import schemas
from prosa.entrypoints.http.live_turns import LiveTurns
from prosa.entrypoints.http.parts import Parts, Serving
from tests.entrypoints.http.serving import app_of, document, parts_with, served

DOCUMENT = document()
OPERATIONS = {
    f"{method} {path}": operation
    for path, operations in DOCUMENT["paths"].items()
    for method, operation in operations.items()
}


def test_every_route_is_there() -> None:
    assert set(OPERATIONS) == {
        "post /v1/messages",
        "post /message",
        "post /v1/conversations",
        "get /v1/conversations",
        "get /v1/conversations/{conversation_id}",
        "post /v1/conversations/{conversation_id}/messages",
        "get /v1/conversations/{conversation_id}/messages",
        "post /v1/conversations/{conversation_id}/close",
        "get /v1/turns/{turn_id}",
        "get /v1/turns/{turn_id}/events",
        "get /healthz",
        "get /readyz",
    }


def references(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if isinstance(node.get("$ref"), str):
            yield node["$ref"]
        for inner in node.values():
            yield from references(inner)
    elif isinstance(node, list):
        for inner in node:
            yield from references(inner)


def test_every_reference_leads_somewhere_and_every_shape_is_used() -> None:
    shared = {
        f"#/components/{kind}/{name}"
        for kind, named in DOCUMENT["components"].items()
        for name in named
        if kind != "securitySchemes"  # they are named, not referred to
    }
    assert set(references(DOCUMENT)) == shared


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_route_and_parameter_is_described(name: str) -> None:
    operation = OPERATIONS[name]
    assert operation["summary"]
    assert operation["description"]
    for parameter in operation.get("parameters", ()):
        assert parameter["description"], parameter["name"]


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_answer_has_examples_of_its_shape(name: str) -> None:
    for status, answer in OPERATIONS[name]["responses"].items():
        assert answer["description"]
        assert "X-Request-Id" in answer["headers"]
        for media_type, content in answer["content"].items():
            for example in examples_of(content):
                if media_type == "text/event-stream":
                    assert example.startswith("id: 1\nevent: turn.started\n")
                    continue
                shape = getattr(schemas, content["schema"]["$ref"].rpartition("/")[2])
                shape.model_validate(example)
                assert status != "500" or example["code"] == "internal_error"


def examples_of(content: dict[str, Any]) -> list[Any]:
    if "example" in content:
        return [content["example"]]
    shared = DOCUMENT["components"]["examples"]
    return [
        shared[example["$ref"].rpartition("/")[2]]["value"]
        if "$ref" in example
        else example["value"]
        for example in content["examples"].values()
    ]


def test_a_route_that_creates_something_documents_its_key() -> None:
    for name, operation in OPERATIONS.items():
        names = {parameter["name"] for parameter in operation.get("parameters", ())}
        creates = name.startswith("post ") and not name.endswith("/close")
        assert ("Idempotency-Key" in names) == creates, name


def test_every_body_field_is_described() -> None:
    for name in ("NewConversation", "NewMessage", "FirstMessage"):
        shape = DOCUMENT["components"]["schemas"][name]
        assert shape["additionalProperties"] is False
        for field, described in shape["properties"].items():
            assert "description" in str(described), field


async def test_the_document_and_its_page_are_served(client: httpx.AsyncClient) -> None:
    assert (await client.get("/openapi.json")).json() == DOCUMENT
    page = await client.get("/docs")
    assert page.status_code == 200
    assert 'read <a href="/openapi.json">the OpenAPI document</a> itself' in page.text


async def test_the_page_may_run_its_own_scripts_and_no_other(client: httpx.AsyncClient) -> None:
    for _ in range(2):
        page = await client.get("/docs")
        assert len(page.headers.get_list("content-security-policy")) == 1
        assert len(page.headers.get_list("x-request-id")) == 1
    policy = page.headers["content-security-policy"]
    scripts = re.findall("<script>(.*?)</script>", page.text, re.DOTALL)
    assert len(scripts) == 1
    digest = base64.b64encode(hashlib.sha256(scripts[0].encode()).digest()).decode()
    assert f"script-src 'sha256-{digest}' https://cdn.jsdelivr.net;" in policy
    sources = re.findall('(?:src|href)="(https://[^/"]+)', page.text)
    assert set(sources) == {"https://cdn.jsdelivr.net"}


async def test_the_page_can_be_left_out_and_the_document_still_be_made() -> None:
    parts = parts_with()
    app = app_of(parts, docs=False)
    async with served(parts, app) as client:
        for address in ("/docs", "/openapi.json"):
            assert (await client.get(address)).status_code == 404
    assert app.openapi() == DOCUMENT


def test_the_app_of_the_library_has_the_parts_that_are_served() -> None:
    from prosa.bootstrap import App  # noqa: PLC0415 - only its type matters here

    def serve(app: App) -> Serving:
        parts: Parts = app
        return Serving(
            parts=parts,
            live_turns=LiveTurns(drain_seconds=5),
            ping_seconds=15,
            reader_seconds=30,
            body_seconds=15,
        )

    assert callable(serve)
