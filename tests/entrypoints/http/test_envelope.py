"""What every answer carries: ids to find it by, security headers, CORS where it is allowed."""

import re

import httpx
import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope, Send

from prosa.domain.errors import TurnNotFound
from prosa.domain.identifiers import TurnId
from prosa.entrypoints.http.envelope import AnswerBrokenError, Envelope
from tests.entrypoints.http.serving import app_of, parts_with, problem_in, served

TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"
PARENT = "00f067aa0ba902b7"
ADDRESSES = ["/healthz", "/v1/conversations", "/v1/turns/4711", "/nowhere"]


@pytest.mark.parametrize("address", ADDRESSES)
async def test_answers_carry_security_headers(client: httpx.AsyncClient, address: str) -> None:
    headers = (await client.get(address)).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["x-frame-options"] == "DENY"
    assert headers["referrer-policy"] == "no-referrer"
    assert headers["cache-control"] == "no-store"
    assert headers["content-security-policy"].startswith("default-src 'none'")


async def test_a_request_id_is_given_back(client: httpx.AsyncClient) -> None:
    response = await client.get("/healthz", headers={"X-Request-Id": "order-4711.retry:2"})
    assert response.headers["x-request-id"] == "order-4711.retry:2"


@pytest.mark.parametrize("sent", ["", "a b", "<script>", "x" * 129, "é"])
async def test_a_request_id_that_makes_no_sense_is_replaced(
    client: httpx.AsyncClient, sent: str
) -> None:
    response = await client.get("/healthz", headers={b"X-Request-Id": sent.encode()})
    assert re.fullmatch("[0-9a-f]{32}", response.headers["x-request-id"])


async def test_the_caller_s_trace_goes_on(client: httpx.AsyncClient) -> None:
    sent = {"traceparent": f"00-{TRACE}-{PARENT}-01"}
    response = await client.get("/v1/turns/4711", headers=sent)
    assert problem_in(response)["trace_id"] == TRACE
    given = re.fullmatch(f"00-{TRACE}-([0-9a-f]{{16}})-01", response.headers["traceparent"])
    assert given is not None
    assert given[1] != PARENT


async def test_a_later_version_of_trace_context_may_say_more(client: httpx.AsyncClient) -> None:
    sent = {"traceparent": f"01-{TRACE}-{PARENT}-01-more"}
    response = await client.get("/v1/turns/4711", headers=sent)
    assert problem_in(response)["trace_id"] == TRACE


@pytest.mark.parametrize(
    "sent",
    [
        "",
        "nonsense",
        f"00-{TRACE.upper()}-{PARENT}-01",
        f"00-{'0' * 32}-{PARENT}-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-{PARENT}-01",
        f"00-{TRACE}-{PARENT}-01-more",
        f"00-{TRACE[:-1]}-{PARENT}-01",
    ],
)
async def test_a_trace_that_is_none_is_replaced(client: httpx.AsyncClient, sent: str) -> None:
    response = await client.get("/v1/turns/4711", headers={"traceparent": sent})
    trace_id = str(problem_in(response)["trace_id"])
    assert re.fullmatch("[0-9a-f]{32}", trace_id)
    assert trace_id != TRACE
    assert response.headers["traceparent"].startswith(f"00-{trace_id}-")


async def test_without_cors_origins_no_page_may_call(client: httpx.AsyncClient) -> None:
    response = await client.get("/healthz", headers={"Origin": "https://shop.example"})
    assert "access-control-allow-origin" not in response.headers


async def test_pages_of_listed_origins_may_call_and_read_what_went_wrong() -> None:
    parts = parts_with(refusal=RuntimeError())
    app = app_of(parts, cors_origins=("https://shop.example",))
    origin = {"Origin": "https://shop.example"}
    async with served(parts, app) as client:
        asked = {**origin, "Access-Control-Request-Method": "POST"}
        preflight = await client.options("/v1/messages", headers=asked)
        response = await client.post("/v1/messages", json={"text": "a"}, headers=origin)
        other = await client.get("/healthz", headers={"Origin": "https://evil.example"})
    assert preflight.headers["access-control-allow-origin"] == "https://shop.example"
    assert response.status_code == 500
    assert response.headers["access-control-allow-origin"] == "https://shop.example"
    assert "Idempotency-Key" in response.headers["access-control-expose-headers"]
    assert "access-control-allow-origin" not in other.headers


async def test_what_cors_answers_by_itself_carries_what_every_answer_does() -> None:
    app = app_of(parts_with(), cors_origins=("https://shop.example",))
    async with served(parts_with(), app) as client:
        for origin, status in (("https://shop.example", 200), ("https://evil.example", 400)):
            asked = {"Origin": origin, "Access-Control-Request-Method": "POST"}
            preflight = await client.options(
                "/v1/messages", headers={**asked, "X-Request-Id": "order-4711"}
            )
            assert preflight.status_code == status
            assert preflight.headers["x-request-id"] == "order-4711"
            assert preflight.headers["x-content-type-options"] == "nosniff"


def scope() -> Scope:
    return {"type": "http", "method": "GET", "path": "/", "headers": []}


async def silence() -> Message:
    return {"type": "http.disconnect"}


async def test_an_answer_that_breaks_off_is_broken_off_without_a_word(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def breaks(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise RuntimeError(said)

    said = "secret words"
    sent: list[Message] = []

    async def send(message: Message) -> None:
        sent.append(message)

    with pytest.raises(AnswerBrokenError) as broken:
        await Envelope(breaks)(scope(), silence, send)
    assert broken.value.__suppress_context__
    assert [message["type"] for message in sent] == ["http.response.start"]
    assert "RuntimeError" in caplog.text
    assert "secret" not in caplog.text


async def test_whatever_breaks_an_answer_off_is_logged_as_a_mistake_of_ours(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Even what is no more than a client's mistake, where it comes before the answer."""

    async def breaks(_scope: Scope, _receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise TurnNotFound(TurnId("turn_4711"))

    async def send(_message: Message) -> None:
        pass

    with pytest.raises(AnswerBrokenError):
        await Envelope(breaks)(scope(), silence, send)
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert "internal_error" in caplog.text
    assert "TurnNotFound" in caplog.text


async def test_a_client_that_left_is_not_answered() -> None:
    async def notices(_scope: Scope, _receive: Receive, _send: Send) -> None:
        raise ClientDisconnect

    async def send(message: Message) -> None:
        pytest.fail(f"sent {message}")

    await Envelope(notices)(scope(), silence, send)


async def test_a_client_that_leaves_while_it_sends_is_not_answered() -> None:
    app = app_of(parts_with())

    async def send(message: Message) -> None:
        pytest.fail(f"sent {message}")

    headers = [(b"content-type", b"application/json")]
    sending = {**scope(), "method": "POST", "path": "/v1/messages", "headers": headers}
    async with app.router.lifespan_context(app):
        await app(sending, silence, send)
