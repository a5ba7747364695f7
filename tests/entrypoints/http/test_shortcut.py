"""Messages are led past the framework, and nobody can tell by what is answered."""

import json
import re
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from starlette.middleware.body_limit import RequestBodyLimitMiddleware
from starlette.types import ASGIApp

from tests.entrypoints.http.serving import JSON, LATER, STREAM, app_of, parts_with, problem_in

BODY = json.dumps({"text": "Onde está o meu pedido?", "metadata": {"b": "1", "a": "2"}}).encode()
UNKNOWN = json.dumps({"text": "a", "conversation_id": f"conv_{'0' * 32}"}).encode()
REQUESTS: dict[str, dict[str, Any]] = {
    "a message": {"content": BODY},
    "a message whose client does not wait": {"content": BODY, "headers": LATER},
    "a message whose reply is read as it comes": {"content": BODY, "headers": STREAM},
    "a message of an unknown conversation": {"content": UNKNOWN},
    "a bad key": {"content": BODY, "headers": {"Idempotency-Key": '"open'}},
    "another media type": {"content": BODY, "headers": {"Content-Type": "text/plain"}},
    "what is no JSON": {"content": b"{"},
    "no text": {"content": b"{}"},
    "an unknown field": {"content": b'{"text": "a", "txet": "b"}'},
    "too much": {"content": b'{"text": "%s"}' % (b"a" * 262_144)},
    "another method": {"method": "DELETE"},
}
ELSEWHERE = "/shop"
NEW_EACH_TIME = re.compile(
    r"(?<=conv_|turn_)[0-9a-f]{32}|(?<=msg_)[0-9a-f]{32}|\b[0-9a-f]{16}(?:[0-9a-f]{16})?\b"
    r"|\d{4}-\d\d-\d\dT[\d:.]+Z"
)


def asking(app: ASGIApp, root_path: str = "") -> httpx.AsyncClient:
    transport = httpx.ASGITransport(app, root_path=root_path)
    return httpx.AsyncClient(transport=transport, base_url=f"http://prosa{root_path}")


async def answered(root_path: str, address: str, asked: dict[str, Any]) -> tuple[int, str]:
    """Ask an app that is served at a path; give status, and headers and body as they compare."""
    app = app_of(parts_with())
    request = {"method": "POST", "headers": {}, **asked}
    request["headers"] = {"Idempotency-Key": "k", **JSON, **request["headers"]}
    async with app.router.lifespan_context(app), asking(app, root_path) as client:
        response = await client.request(url=address, **request)
    told = f"{response.headers.multi_items()} {response.text}"
    # Its own path is longer there, and so is what quotes it.
    told = re.sub(r"'content-length', '\d+'", "", told.replace(root_path or ELSEWHERE, ""))
    return response.status_code, NEW_EACH_TIME.sub("…", told)


@pytest.mark.parametrize("address", ["/v1/messages", "/message"])
@pytest.mark.parametrize("asked", REQUESTS.values(), ids=REQUESTS)
async def test_both_ways_answer_the_same(address: str, asked: dict[str, Any]) -> None:
    """An app that is served somewhere below another address takes the framework's way."""
    assert await answered("", address, asked) == await answered(ELSEWHERE, address, asked)


async def test_the_framework_is_not_asked_for_what_is_led_past_it() -> None:
    app = app_of(parts_with())
    app.router.routes.clear()
    async with app.router.lifespan_context(app), asking(app) as client:
        assert (await client.post("/v1/messages", json={"text": "a"})).status_code == 200
        assert (await client.get("/v1/messages")).status_code == 404


async def test_an_address_that_only_the_path_of_the_server_completes_is_none() -> None:
    app = app_of(parts_with())
    async with app.router.lifespan_context(app), asking(app, "/v1") as client:
        response = await client.post("/messages", json={"text": "a"})
        assert problem_in(response)["code"] == "not_found"
        response = await client.post("/v1/messages", json={"text": "a"})
        assert response.status_code == 200


async def test_what_only_looks_like_a_route_s_address_leads_to_no_conversation(
    client: httpx.AsyncClient,
) -> None:
    address = "/v1/conversations/{conversation_id}/messages"
    response = await client.post(address, json={"text": "a"})
    assert problem_in(response)["code"] == "conversation_not_found"


@pytest.mark.parametrize("root_path", ["", ELSEWHERE])
async def test_an_application_around_it_may_take_less_of_a_body(root_path: str) -> None:
    async def long_text() -> AsyncIterator[bytes]:
        yield b'{"text": "'
        yield b'Onde est\xc3\xa1 o meu pedido?"}'

    app = app_of(parts_with())
    limited = RequestBodyLimitMiddleware(app, max_body_size=20)
    async with app.router.lifespan_context(app), asking(limited, root_path) as client:
        taken = await client.post("/v1/messages", content=b'{"text": "a"}', headers=JSON)
        refused = await client.post("/v1/messages", content=long_text(), headers=JSON)
    assert taken.status_code == 200
    assert problem_in(refused)["code"] == "payload_too_large"
