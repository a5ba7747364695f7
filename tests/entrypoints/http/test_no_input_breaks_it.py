"""Whatever bytes come: never a 5xx, and never an answer that repeats what was refused."""

import asyncio
import json
from collections.abc import Iterator
from urllib.parse import urlencode

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.entrypoints.http.serving import JSON, app_of, parts_with, require_documented

MARK = "qzx"
"""Stands in every generated string, and in nothing that we say."""

texts = st.text(st.characters(), max_size=12).map(lambda text: MARK + text)
scalars = st.none() | st.booleans() | st.integers() | st.floats() | texts
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=8,
)
fields = st.sampled_from(
    ["text", "conversation_id", "customer_id", "channel", "metadata", "limit", "body"]
)
bodies = st.dictionaries(fields | texts, values, max_size=6) | values
documents = bodies.map(lambda body: json.dumps(body).encode())
broken = st.tuples(documents, st.integers(0, 40), st.binary(max_size=3)).map(
    lambda torn: torn[0][: torn[1]] + torn[2] + torn[0][torn[1] + 1 :]
)
addresses = st.sampled_from(
    [
        "/v1/messages",
        "/message",
        "/v1/conversations",
        f"/v1/conversations/conv_{'0' * 32}/messages",
        f"/v1/conversations/{MARK}/messages",
    ]
)
content_types = st.sampled_from(["application/json", f"application/{MARK}"])

unhurried = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


class Served:
    """An app that stays open from example to example."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner
        app = app_of(parts_with())
        self._opened = app.router.lifespan_context(app)
        runner.run(self._opened.__aenter__())
        self._client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url="http://prosa",
            event_hooks={"response": [require_documented]},
        )

    def ask(self, method: str, address: str, **request: object) -> httpx.Response:
        return self._runner.run(self._client.request(method, address, **request))  # type: ignore[arg-type] # what is drawn may be anything

    def close(self) -> None:
        self._runner.run(self._client.aclose())
        self._runner.run(self._opened.__aexit__(None, None, None))


@pytest.fixture(scope="module")
def prosa() -> Iterator[Served]:
    with asyncio.Runner() as runner:
        opened = Served(runner)
        yield opened
        opened.close()


def require_quiet_refusal(response: httpx.Response) -> None:
    assert response.status_code < 500
    if response.status_code >= 400:
        assert MARK not in response.text
        assert MARK not in str(response.headers)
        assert len(response.content) < 8_000


@unhurried
@given(address=addresses, content=documents | broken | st.binary(), content_type=content_types)
def test_no_body_breaks_it_or_is_repeated(
    prosa: Served, address: str, content: bytes, content_type: str
) -> None:
    response = prosa.ask("POST", address, content=content, headers={"Content-Type": content_type})
    require_quiet_refusal(response)


@unhurried
@given(
    address=st.sampled_from(
        ["/v1/conversations", f"/v1/conversations/conv_{'0' * 32}/messages", f"/v1/turns/{MARK}"]
    ),
    query=st.dictionaries(
        st.sampled_from(["limit", "after", "order", "status", "owner", "customer_id"]) | texts,
        texts | st.integers().map(str),
        max_size=4,
    ),
)
def test_no_query_breaks_it_or_is_repeated(
    prosa: Served, address: str, query: dict[str, str]
) -> None:
    encoded = {
        name.encode(errors="surrogatepass"): value.encode(errors="surrogatepass")
        for name, value in query.items()
    }
    require_quiet_refusal(prosa.ask("GET", f"{address}?{urlencode(encoded)}"))


@unhurried
@given(
    name=st.sampled_from(["Idempotency-Key", "Prefer", "Accept", "traceparent", "X-Request-Id"]),
    value=st.binary(max_size=40).map(lambda value: value.replace(b"\r", b"").replace(b"\n", b"")),
)
def test_no_header_breaks_it(prosa: Served, name: str, value: bytes) -> None:
    headers = [(b"Content-Type", JSON["Content-Type"].encode()), (name.encode(), value)]
    response = prosa.ask("POST", "/v1/messages", content=b'{"text": "a"}', headers=headers)
    assert response.status_code in {200, 202, 400}
