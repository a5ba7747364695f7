"""Who asks, and what they reach: by tokens of a real issuer on the loopback."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from prosa.adapters.in_memory.authenticator import InMemoryAuthenticator
from prosa.domain.identifiers import ConversationId, TenantId
from tests.entrypoints.http.serving import (
    LATER,
    STREAM,
    InMemoryParts,
    PausingModel,
    app_of,
    document,
    events_in,
    parts_with,
    problem_in,
    require_documented,
    served,
    turn_in,
)
from tests.identity import TENANT, Issuer, bearer, running_issuer, segment

BODY = {"text": "Onde está o meu pedido?"}
NOWHERE_CONVERSATION = f"conv_{'0' * 32}"
NOWHERE_TURN = f"turn_{'0' * 32}"

OPEN = {("get", "/healthz"), ("get", "/readyz")}
GUARDED = [
    (method, path)
    for path, operations in document()["paths"].items()
    for method in operations
    if (method, path) not in OPEN
]


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with running_issuer() as issuer:
        yield issuer


@pytest.fixture
async def parts(issuer: Issuer) -> AsyncIterator[InMemoryParts]:
    async with issuer.authenticator() as authenticator:
        yield replace(parts_with(), authenticator=authenticator)


@pytest.fixture
async def client(parts: InMemoryParts) -> AsyncIterator[httpx.AsyncClient]:
    async with served(parts) as client:
        yield client


def address_of(
    path: str, conversation: str = NOWHERE_CONVERSATION, turn: str = NOWHERE_TURN
) -> str:
    return path.format(conversation_id=conversation, turn_id=turn)


@pytest.mark.parametrize(("method", "path"), GUARDED)
async def test_every_route_asks_for_a_token_before_anything_else(
    client: httpx.AsyncClient, method: str, path: str
) -> None:
    # Neither the body, which is none, nor the address, which leads nowhere, is looked at.
    response = await client.request(
        method, address_of(path), content=b"{" if method == "post" else None
    )
    assert response.status_code == 401
    assert problem_in(response)["code"] == "unauthenticated"
    assert response.headers["www-authenticate"] == 'Bearer realm="prosa"'


async def test_health_and_documentation_ask_for_none(client: httpx.AsyncClient) -> None:
    for path in ("/healthz", "/readyz", "/docs", "/openapi.json"):
        assert (await client.get(path)).status_code == 200


async def test_a_browser_may_ask_first_without_a_token(parts: InMemoryParts) -> None:
    app = app_of(parts, cors_origins=("https://loja.example",))
    origin = {"Origin": "https://loja.example"}
    asking = {"Access-Control-Request-Method": "POST"}
    asking["Access-Control-Request-Headers"] = "authorization,content-type"
    async with served(parts, app) as client:
        preflight = await client.options("/v1/messages", headers=origin | asking)
        refused = await client.post("/v1/messages", json=BODY, headers=origin)
    assert preflight.status_code == 200
    assert "authorization" in preflight.headers["access-control-allow-headers"]
    assert refused.status_code == 401
    assert refused.headers["access-control-allow-origin"] == "https://loja.example"
    assert "WWW-Authenticate" in refused.headers["access-control-expose-headers"]


def test_the_document_says_where_a_token_is_needed_and_what_happens_without() -> None:
    scheme = document()["components"]["securitySchemes"]["token"]
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    for path, operations in document()["paths"].items():
        for method, operation in operations.items():
            needed = (method, path) not in OPEN
            assert ("security" in operation) == needed
            assert ({"401", "403"} <= set(operation["responses"])) == needed


@pytest.mark.parametrize(
    "headers",
    [
        [("Authorization", "Basic YW5hOmFuYQ==")],
        [("Authorization", "Bearer")],
        [("Authorization", "Bearer ")],
        [("Authorization", "")],
        [("Authorization", "Bearer a"), ("Authorization", "Bearer a")],
        [("Cookie", "token=a")],
    ],
)
async def test_anything_but_one_bearer_token_is_none(
    client: httpx.AsyncClient, headers: list[tuple[str, str]]
) -> None:
    response = await client.get("/v1/conversations", headers=headers)
    assert response.status_code == 401
    assert "error" not in response.headers["www-authenticate"]


async def test_a_token_in_the_address_is_none(client: httpx.AsyncClient, issuer: Issuer) -> None:
    response = await client.get("/v1/conversations", params={"access_token": issuer.token()})
    assert response.status_code == 401


async def test_a_token_that_is_refused_says_why_and_repeats_nothing(
    client: httpx.AsyncClient, issuer: Issuer
) -> None:
    token = issuer.token(exp=1)
    response = await client.post("/v1/messages", json=BODY, headers=bearer(token))
    assert response.status_code == 401
    assert response.headers["www-authenticate"] == 'Bearer realm="prosa", error="invalid_token"'
    problem = problem_in(response)
    assert problem["detail"] == "The token has expired; get a new one."
    assert token.split(".")[1] not in response.text


async def test_the_scheme_may_be_written_in_any_case(
    client: httpx.AsyncClient, issuer: Issuer
) -> None:
    for scheme in ("bearer", "BEARER", "Bearer "):
        headers = {"Authorization": f"{scheme} {issuer.token()}"}
        assert (await client.get("/v1/conversations", headers=headers)).status_code == 200


@pytest.mark.parametrize("changes", [{"tenant_id": None}, {"role": None}, {"role": "admin"}])
async def test_a_token_without_a_tenant_or_role_is_forbidden(
    client: httpx.AsyncClient, issuer: Issuer, changes: dict[str, Any]
) -> None:
    headers = bearer(issuer.token(**changes))
    response = await client.post("/v1/messages", json=BODY, headers=headers)
    assert response.status_code == 403
    assert problem_in(response)["code"] == "forbidden"


async def test_while_nobody_can_be_told_from_anybody_nobody_is_let_in(
    client: httpx.AsyncClient, issuer: Issuer
) -> None:
    issuer.answer = b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"
    response = await client.get("/v1/conversations", headers=issuer.customer())
    assert response.status_code == 503
    assert problem_in(response)["code"] == "identity_unavailable"
    assert response.headers["retry-after"] == "2"


async def send(
    client: httpx.AsyncClient, headers: dict[str, str], **body: object
) -> httpx.Response:
    return await client.post("/v1/messages", json=BODY | body, headers=headers)


async def test_a_conversation_is_its_customers_and_tenants(
    client: httpx.AsyncClient, parts: InMemoryParts, issuer: Issuer
) -> None:
    turn = turn_in(await send(client, issuer.customer()))
    headers = parts.storage.of(TenantId(TENANT)).headers
    assert headers[ConversationId(turn.conversation_id)].customer_id == "ana"
    started = await client.post("/v1/conversations", json={}, headers=issuer.customer("rui"))
    assert started.json()["customer_id"] == "rui"


@pytest.mark.parametrize(("method", "path"), [route for route in GUARDED if "{" in route[1]])
@pytest.mark.parametrize("who", ["another customer", "another tenant", "another tenant's service"])
async def test_what_is_anothers_is_not_found(
    client: httpx.AsyncClient, issuer: Issuer, method: str, path: str, who: str
) -> None:
    turn = turn_in(await send(client, issuer.customer()))
    stranger = {
        "another customer": issuer.customer("rui"),
        "another tenant": issuer.customer("ana", tenant="other"),
        "another tenant's service": issuer.service(tenant="other"),
    }[who]
    body = BODY if method == "post" and path.endswith("messages") else None

    async def ask(headers: dict[str, str], conversation: str, turn_id: str) -> httpx.Response:
        address = address_of(path, conversation, turn_id)
        return await client.request(method, address, json=body, headers=headers)

    refused = await ask(stranger, turn.conversation_id, turn.id)
    missing = await ask(stranger, NOWHERE_CONVERSATION, NOWHERE_TURN)
    assert refused.status_code == missing.status_code == 404
    assert problem_in(refused)["detail"] == problem_in(missing)["detail"]
    assert problem_in(refused)["code"] == problem_in(missing)["code"]
    for allowed in (issuer.customer(), issuer.service()):
        assert (await ask(allowed, turn.conversation_id, turn.id)).is_success


async def test_nobody_goes_on_with_anothers_conversation(
    client: httpx.AsyncClient, parts: InMemoryParts, issuer: Issuer
) -> None:
    turn = turn_in(await send(client, issuer.customer()))
    for headers in (issuer.customer("rui"), issuer.customer("rui") | STREAM):
        refused = await send(client, headers, conversation_id=turn.conversation_id)
        assert refused.status_code == 404
    assert len(parts.storage.of(TenantId(TENANT)).turns) == 1
    assert (await send(client, issuer.customer(), conversation_id=turn.conversation_id)).is_success


async def test_a_conversation_of_no_customer_is_no_customers(
    client: httpx.AsyncClient, issuer: Issuer
) -> None:
    turn = turn_in(await send(client, issuer.service()))
    address = f"/v1/conversations/{turn.conversation_id}"
    assert (await client.get(address, headers=issuer.customer())).status_code == 404


async def test_a_running_turn_is_followed_by_its_customer_only(issuer: Issuer) -> None:
    model = PausingModel()
    async with issuer.authenticator() as authenticator:
        parts = replace(parts_with(model), authenticator=authenticator)
        async with served(parts) as client:
            turn = turn_in(
                await client.post("/v1/messages", json=BODY, headers=issuer.customer() | LATER)
            )
            events = f"/v1/turns/{turn.id}/events"
            refused = await client.get(events, headers=issuer.customer("rui"))
            assert refused.status_code == 404
            model.may_go_on.set()
            followed = await client.get(events, headers=issuer.customer())
            assert events_in(followed.text)[-1].name == "turn.completed"


async def test_a_list_has_a_customers_own_only(client: httpx.AsyncClient, issuer: Issuer) -> None:
    for customer in ("ana", "rui", "ana"):
        await send(client, issuer.customer(customer))

    async def customers(headers: dict[str, str], **query: str) -> list[str]:
        page = await client.get("/v1/conversations", headers=headers, params=query)
        return sorted(conversation["customer_id"] for conversation in page.json()["data"])

    assert await customers(issuer.customer()) == ["ana", "ana"]
    assert await customers(issuer.customer(), customer_id="ana") == ["ana", "ana"]
    assert await customers(issuer.service()) == ["ana", "ana", "rui"]
    assert await customers(issuer.service(), customer_id="rui") == ["rui"]
    assert await customers(issuer.service(tenant="other")) == []


async def test_a_customer_who_asks_for_another_is_forbidden(
    client: httpx.AsyncClient, parts: InMemoryParts, issuer: Issuer
) -> None:
    ana = issuer.customer()
    asked = {"customer_id": "rui"}
    refused = [
        await send(client, ana, **asked),
        await client.post("/v1/conversations", json=asked, headers=ana),
        await client.get("/v1/conversations", params=asked, headers=ana),
    ]
    for response in refused:
        assert response.status_code == 403
        assert "rui" not in response.text
    assert not parts.storage.of(TenantId(TENANT)).headers
    assert (await send(client, ana, customer_id="ana")).is_success


async def test_a_service_acts_for_any_customer(client: httpx.AsyncClient, issuer: Issuer) -> None:
    turn = turn_in(await send(client, issuer.service(), customer_id="rui"))
    address = f"/v1/conversations/{turn.conversation_id}"
    assert (await client.get(address, headers=issuer.customer("rui"))).is_success
    in_it = await client.post(f"{address}/messages", json=BODY, headers=issuer.service())
    assert in_it.is_success


async def test_a_key_is_its_callers_and_outlives_the_token(
    client: httpx.AsyncClient, issuer: Issuer
) -> None:
    key = {"Idempotency-Key": "4711"}
    first = await send(client, issuer.customer() | key)
    issuer.clock.advance(60)
    again = await send(client, issuer.customer() | key, customer_id="ana")
    assert again.content == first.content
    assert again.headers["idempotent-replayed"] == "true"
    for other in (issuer.customer("rui"), issuer.service(), issuer.customer(tenant="other")):
        answered = await send(client, other | key)
        assert answered.status_code == 200
        assert "idempotent-replayed" not in answered.headers


async def test_who_is_let_in_is_the_authenticators_to_say() -> None:
    parts = replace(parts_with(), authenticator=InMemoryAuthenticator({}))
    async with served(parts) as client:
        assert (await client.get("/v1/conversations", headers=bearer("a"))).status_code == 401


class Served:
    """An app that stays open from example to example."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self._runner = runner
        self._issuing = running_issuer()
        self.issuer = runner.run(self._issuing.__aenter__())
        self._authenticating = self.issuer.authenticator()
        authenticator = runner.run(self._authenticating.__aenter__())
        app = app_of(replace(parts_with(), authenticator=authenticator))
        self._opened = app.router.lifespan_context(app)
        runner.run(self._opened.__aenter__())
        self._client = httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url="http://prosa",
            event_hooks={"response": [require_documented]},
        )

    def ask(self, token: bytes) -> httpx.Response:
        headers = [(b"authorization", b"Bearer " + token), (b"content-type", b"application/json")]
        return self._runner.run(
            self._client.post("/v1/messages", content=json.dumps(BODY), headers=headers)
        )

    def close(self) -> None:
        for opened in (self._opened, self._authenticating, self._issuing):
            self._runner.run(opened.__aexit__(None, None, None))
        self._runner.run(self._client.aclose())


@pytest.fixture(scope="module")
def prosa() -> Iterator[Served]:
    with asyncio.Runner() as runner:
        opened = Served(runner)
        opened.ask(opened.issuer.token().encode())
        yield opened
        opened.close()


scalars = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=12)
values = st.recursive(
    scalars,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3)
    ),
    max_leaves=6,
)
claim_names = st.sampled_from([*sorted(Issuer().claims()), "nbf", "aud", "jti", "nonce"])
header_names = st.sampled_from(["alg", "kid", "typ", "crit", "b64", "jwk", "jku", "x5u", "zip"])
unhurried = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@unhurried
@given(token=st.binary(max_size=60).filter(lambda token: not {*token} & {0, 10, 13}))
def test_no_bytes_break_it(prosa: Served, token: bytes) -> None:
    assert prosa.ask(token).status_code == 401


@unhurried
@given(
    header=st.dictionaries(header_names, values, max_size=4),
    claims=st.dictionaries(claim_names, values, max_size=4),
    signature=st.text("abcABC-_", max_size=12),
)
def test_no_unsigned_token_breaks_it_or_is_believed(
    prosa: Served, header: dict[str, object], claims: dict[str, object], signature: str
) -> None:
    told = segment({"alg": "RS256", "kid": "first"} | header)
    token = f"{told}.{segment(prosa.issuer.claims() | claims)}.{signature}"
    assert prosa.ask(token.encode()).status_code == 401


@unhurried
@given(claims=st.dictionaries(claim_names, values, min_size=1, max_size=4))
def test_no_signed_claims_break_it(prosa: Served, claims: dict[str, Any]) -> None:
    assert prosa.ask(prosa.issuer.token(**claims).encode()).status_code in {200, 401, 403}


@unhurried
@given(place=st.integers(0, 646), byte=st.sampled_from(b"Aa0-_.=~ "))
def test_no_token_with_another_byte_is_believed(prosa: Served, place: int, byte: int) -> None:
    token = bytearray(prosa.issuer.token().encode())
    before = bytes(token)
    token[place % len(token)] = byte
    assert bytes(token).strip(b" ") == before or prosa.ask(bytes(token)).status_code == 401
