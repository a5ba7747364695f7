"""The provider that consumers' pacts are verified against: the whole application, and its states.

States are brought about as they come about in life: by requests to the application itself, and by
what its model does. Each has a tenant of its own, so that no state meets another.
"""

import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
from fastapi import FastAPI, Response

from prosa.adapters.in_memory.language_model import Answer, Hang, ScriptedLanguageModel
from prosa.adapters.sql.database import Database
from prosa.application.ports.language_model import ModelRejectedRequest, ModelUnavailable
from prosa.bootstrap import App, bootstrap
from prosa.domain.identifiers import TenantId, TurnId
from prosa.entrypoints.http.app import create_app
from prosa.settings import Settings
from tests.entrypoints.http.serving import served_on_loopback
from tests.identity import CLIENT, Issuer, bearer, running_issuer
from tests.pacts.interactions import JSON

TEXT = "Onde está o meu pedido 4711?"
REPLY = "Saiu para entrega hoje. Chega amanhã."
LAST_EVENT_ID = "4"
"""Of the turn that has this reply: it starts, has two pieces, and is completed."""

OF_A_CUSTOMER: dict[str, Any] = {
    "customer_id": "customer-42",
    "channel": "whatsapp",
    "metadata": {"order": "4711"},
}

Values = dict[str, str]


class Model(ScriptedLanguageModel):
    """Answers, until it is told to do something else."""

    def __init__(self) -> None:
        super().__init__(default=lambda _request: self.answer)
        self.answer: Answer = REPLY


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """The application as it is served, and what its states are made with."""

    app: App
    model: Model
    issuer: Issuer
    client: httpx.AsyncClient

    @property
    def url(self) -> str:
        """Where it is."""
        return str(self.client.base_url)


@asynccontextmanager
async def running_provider(
    database_url: str, *, breaker_failures: int = 100, reply_queue: str | None = None
) -> AsyncIterator[Provider]:
    """Serve the application on a database, with tokens asked for.

    What fails on purpose closes the door on nothing else, unless `breaker_failures` are few.
    """
    model = Model()
    async with running_issuer() as issuer:
        settings = Settings(
            database_url=database_url,
            models="scripted",
            auth="jwt",
            jwt_issuer=issuer.url,
            jwt_client_ids=CLIENT,
            jwks_url=issuer.jwks_url,
            breaker_failures=breaker_failures,
            reply_queue=reply_queue,
        )
        async with bootstrap(settings, model=model) as app:
            served = create_app(lambda: nullcontext(app), drain_seconds=0.1)
            async with served_on_loopback(served) as client:
                yield Provider(app=app, model=model, issuer=issuer, client=client)


class Actors:
    """A customer and an order desk of one tenant, who ask what brings a state about."""

    def __init__(self, provider: Provider, tenant: str) -> None:
        self.model = provider.model
        self.key = str(uuid4())
        issuer, now = provider.issuer, int(time.time())
        times: dict[str, Any] = {"iat": now, "exp": now + 3_600, "tenant_id": tenant}
        self.tokens = {
            "customer_token": issuer.token(sub="ana", **times),
            "other_token": issuer.token(sub="bia", **times),
            "service_token": issuer.token(sub="order-desk", role="service", **times),
        }
        self._client = provider.client

    async def ask(
        self, who: str, path: str, body: dict[str, Any] | None = None, **headers: str
    ) -> dict[str, Any]:
        """Post something as somebody; give what is answered, well or not."""
        response = await self._client.post(
            path,
            json=body,
            headers={**bearer(self.tokens[f"{who}_token"]), "Idempotency-Key": self.key, **headers},
        )
        found: dict[str, Any] = response.json()
        return found

    async def start(self, key: str) -> Values:
        """Start a conversation for a customer."""
        headers = {"Idempotency-Key": key}
        started = await self.ask("service", "/v1/conversations", OF_A_CUSTOMER, **headers)
        return {"conversation_id": started["id"]}

    async def converse(self, who: str, **more: Any) -> Values:  # noqa: ANN401 - what JSON may be
        """Take a turn in a new conversation."""
        return turn_of(await self.ask(who, "/v1/messages", {"text": TEXT, **more}))

    async def leave(self, who: str) -> Values:
        """Leave a message that is answered for as long as the state lasts."""
        self.model.answer = Hang()
        later = {"Prefer": "respond-async"}
        return turn_of(await self.ask(who, "/v1/messages", {"text": TEXT}, **later))

    async def fail(self, who: str) -> Values:
        """Take a turn that fails."""
        self.model.answer = REFUSES
        problem = await self.ask(who, "/v1/messages", {"text": TEXT})
        return {"turn_id": problem["turn_id"]}


def turn_of(turn: dict[str, Any]) -> Values:
    """Name a turn and its conversation."""
    return {
        "turn_id": turn["id"],
        "conversation_id": turn["conversation_id"],
        "last_event_id": LAST_EVENT_ID,
    }


async def nothing_more(_actors: Actors) -> Values:
    return {}


async def closed(actors: Actors) -> Values:
    named = await actors.converse("customer")
    await actors.ask("customer", f"/v1/conversations/{named['conversation_id']}/close")
    return named


async def three_open(actors: Actors) -> Values:
    """Open three conversations; name the oldest."""
    oldest, *_ = [await actors.start(f"key-{number}") for number in range(3)]
    return oldest


def model_that(answer: Answer) -> Callable[[Actors], Awaitable[Values]]:
    """Have the model do something else than answer."""

    async def set_up(actors: Actors) -> Values:
        actors.model.answer = answer
        return {}

    return set_up


REFUSES = ModelRejectedRequest("it does not want to")

STATES: dict[str, Callable[[Actors], Awaitable[Values]]] = {
    "a customer is known": nothing_more,
    "the customer has a conversation": lambda actors: actors.converse("customer"),
    "another customer has a conversation": lambda actors: actors.converse("other"),
    "the customer's conversation is closed": closed,
    "a message of the customer's is being answered": lambda actors: actors.leave("customer"),
    "a turn of the customer's has failed": lambda actors: actors.fail("customer"),
    "no model is available": model_that(ModelUnavailable("it is away")),
    "the model refuses messages": model_that(REFUSES),
    "the model is slow": model_that(Hang()),
    "an order desk is known": nothing_more,
    "a conversation is open": lambda actors: actors.converse("service", **OF_A_CUSTOMER),
    "three conversations are open": three_open,
    "a message is being answered": lambda actors: actors.leave("service"),
    "a turn has failed": lambda actors: actors.fail("service"),
}


@asynccontextmanager
async def served_states(provider: Provider) -> AsyncIterator[str]:
    """Serve the states where Pact's verifier asks for them; give the address."""
    app = FastAPI()

    @app.post("/")
    async def change(asked: dict[str, Any]) -> Values:
        if asked["action"] == "setup":
            return await set_up(provider, asked["state"])
        provider.model.answer = REPLY
        return {}

    async with served_on_loopback(app) as client:
        yield str(client.base_url)


async def set_up(provider: Provider, state: str) -> Values:
    """Bring a state about; give what it names. Raises KeyError where there is no such one."""
    actors = Actors(provider, tenant=uuid4().hex)
    named = await STATES[state](actors)
    return {**actors.tokens, "idempotency_key": actors.key, **named}


async def happen(provider: Provider) -> str:
    """Have everything happen that events are published of; give the tenant that it happens to.

    No model answers in the end, often enough for the breaker of three failures to open.
    """
    tenant = uuid4().hex
    actors = Actors(provider, tenant)
    named = await actors.converse("service", **OF_A_CUSTOMER)
    await actors.ask("service", f"/v1/conversations/{named['conversation_id']}/close")
    for answer in (REFUSES, ModelUnavailable("it is away"), ModelUnavailable("it is away")):
        actors.model.answer, actors.key = answer, str(uuid4())
        await actors.ask("service", "/v1/messages", {"text": TEXT, **OF_A_CUSTOMER})
    return tenant


async def reply_to_a_channel(provider: Provider) -> None:
    """Have a message answered that nobody waits for, and its reply go out to its channel."""
    tenant = TenantId(uuid4().hex)
    actors = Actors(provider, tenant)
    later = {"Prefer": "respond-async"}
    accepted = await actors.ask("service", "/v1/messages", {"text": TEXT, **OF_A_CUSTOMER}, **later)
    # Its events end when it does.
    address = f"/v1/turns/{accepted['id']}/events"
    await provider.client.get(address, headers=bearer(actors.tokens["service_token"]))
    turn = await provider.app.conversations.get_turn(tenant, TurnId(accepted["id"]))
    assert provider.app.deliver_reply is not None
    assert await provider.app.deliver_reply(tenant, turn)


async def events_in_outbox(database_url: str, tenant: str) -> dict[str, str]:
    """Read what the outbox holds of a tenant: the newest event of each type."""
    database = Database(database_url)
    try:
        async with database.lending() as connection:
            rows = await connection.fetch("select tenant_id, type, envelope from outbox", ())
    finally:
        await database.close()
    return {str(kind): str(envelope) for owner, kind, envelope in rows if owner == tenant}


@asynccontextmanager
async def served_events(events: Mapping[str, str]) -> AsyncIterator[int]:
    """Serve events by their types where Pact's verifier asks for messages; give the port."""
    app = FastAPI()

    @app.post("/")
    async def produce(asked: dict[str, Any]) -> Response:
        return Response(events[asked["description"]], media_type=JSON)

    async with served_on_loopback(app) as client:
        assert client.base_url.port
        yield client.base_url.port
