"""An opened app of in-memory parts, and ways to serve it."""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache
from typing import Any

import httpx
import uvicorn
from fastapi import FastAPI
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from prosa.adapters.in_memory.attempt_store import InMemoryAttemptStore
from prosa.adapters.in_memory.authenticator import OpenDoor
from prosa.adapters.in_memory.conversation_reader import InMemoryConversationReader
from prosa.adapters.in_memory.language_model import ScriptedLanguageModel
from prosa.adapters.in_memory.storage import InMemoryStorage
from prosa.adapters.in_memory.turn_runner import InMemoryTurnRunner
from prosa.adapters.in_memory.unit_of_work import InMemoryUnitOfWork
from prosa.application.accept_turn import AcceptedTurn, AcceptTurn, CustomerMessage
from prosa.application.close_conversation import CloseConversation
from prosa.application.ports.authenticator import Authenticator
from prosa.application.ports.guardrail import Guardrail, Passage
from prosa.application.ports.intent_classifier import (
    Classification,
    ClassificationRequest,
    IntentClassifier,
)
from prosa.application.ports.language_model import LanguageModel, ModelRequest, OnText
from prosa.application.ports.prompt_catalog import PromptCatalog
from prosa.application.ports.turn_runner import TurnNotStarted
from prosa.application.run_elsewhere import RunElsewhere
from prosa.application.start_conversation import StartConversation
from prosa.application.take_turn import TakeTurn
from prosa.application.turn_policy import TurnPolicy
from prosa.application.turn_steps import TurnSteps
from prosa.bootstrap.parts import Chore, Probe
from prosa.domain.content import Text
from prosa.domain.conversation_header import Owner
from prosa.domain.identifiers import DEFAULT_TENANT, ConversationId, TenantId, time_ordered
from prosa.domain.intent import Intent
from prosa.domain.prompt import PromptTemplate
from prosa.domain.reply import CannedReplies, Reply
from prosa.domain.verdict import Allowed, Blocked, Verdict
from prosa.entrypoints.http.app import create_app
from prosa.entrypoints.http.parts import Parts
from prosa.entrypoints.http.schemas import ProblemDocument, Turn

JSON = {"Content-Type": "application/json"}
STREAM = {"Accept": "text/event-stream"}
LATER = {"Prefer": "respond-async"}
REFUSED = "Sobre isso não posso falar."
FORBIDDEN = "forbidden"

CANNED = CannedReplies(refused=REFUSED, unavailable="Sorry.")


class WordGuardrail(Guardrail):
    async def screen(self, passage: Passage) -> Verdict:
        return Blocked(reason="word") if FORBIDDEN in passage.text else Allowed()


class OneIntent(IntentClassifier):
    async def classify(self, request: ClassificationRequest) -> Classification:
        assert request.history
        return Classification(intent=Intent(name="order_status", confidence=0.93))


class OnePrompt(PromptCatalog):
    async def get(self, tenant_id: TenantId, name: str) -> PromptTemplate:
        assert tenant_id
        return PromptTemplate(name=name, version="1", text="Answer.")


class RefusingAcceptance(AcceptTurn):
    """Accepts no message, and says why."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    async def __call__(self, _message: CustomerMessage) -> AcceptedTurn:
        raise self._error


class PausingModel(ScriptedLanguageModel):
    """Says a sentence, then waits until it may say another."""

    def __init__(self) -> None:
        super().__init__()
        self.asked = asyncio.Event()
        self.may_go_on = asyncio.Event()

    async def generate(self, request: ModelRequest, on_text: OnText | None = None) -> Reply:
        self.asked.set()
        if on_text:
            await on_text("Um momento. Ve")
        await self.may_go_on.wait()
        if on_text:
            await on_text("jamos.")
        said = await super().generate(request)
        return replace(said, parts=(Text(text="Um momento. Vejamos."),))


@dataclass(frozen=True, slots=True, kw_only=True)
class InMemoryParts:
    take_turn: TakeTurn
    start_conversation: StartConversation
    close_conversation: CloseConversation
    conversations: InMemoryConversationReader
    storage: InMemoryStorage
    steps: TurnSteps
    run_elsewhere: RunElsewhere | None
    authenticator: Authenticator = field(default_factory=OpenDoor)
    probes: tuple[Probe, ...] = ()
    chores: tuple[Chore, ...] = ()
    telemetry: None = None

    def hand_over(self, conversation_id: str) -> None:
        """Give a conversation to a human."""
        headers = self.storage.of(DEFAULT_TENANT).headers
        known = ConversationId(conversation_id)
        headers[known] = replace(headers[known], owner=Owner.HUMAN)


def now() -> datetime:
    return datetime.now(UTC)


def parts_with(
    model: LanguageModel | None = None,
    *,
    policy: TurnPolicy | None = None,
    probes: tuple[Probe, ...] = (),
    refusal: Exception | None = None,
    elsewhere: bool = False,
    starts: Iterable[TurnNotStarted | None] = (),
) -> InMemoryParts:
    """Wire an app; `elsewhere` has its turns run by a machine, whose `starts` go by a script."""
    storage = InMemoryStorage()
    policy = policy or TurnPolicy()

    def units_of_work(tenant_id: TenantId) -> InMemoryUnitOfWork:
        return InMemoryUnitOfWork(storage, tenant_id)

    new_hex = time_ordered(now)
    reader = InMemoryConversationReader(storage)
    accept = (
        RefusingAcceptance(refusal)
        if refusal
        else AcceptTurn(
            units_of_work=units_of_work,
            reader=reader,
            guardrail=WordGuardrail(),
            canned_replies=CANNED,
            policy=policy,
            clock=now,
            new_hex=new_hex,
        )
    )
    take_turn = TakeTurn(
        accept=accept,
        units_of_work=units_of_work,
        reader=reader,
        guardrail=WordGuardrail(),
        intent_classifier=OneIntent(),
        prompts=OnePrompt(),
        model=model or ScriptedLanguageModel(),
        canned_replies=CANNED,
        policy=policy,
        clock=now,
        new_hex=new_hex,
    )
    attempts = InMemoryAttemptStore(storage)
    steps = TurnSteps(
        take_turn=take_turn, attempts=attempts, reader=reader, policy=policy, clock=now
    )
    runner = InMemoryTurnRunner(steps, starts)
    run_elsewhere = RunElsewhere(runner=runner, attempts=attempts, take_turn=take_turn)
    return InMemoryParts(
        take_turn=take_turn,
        steps=steps,
        run_elsewhere=run_elsewhere if elsewhere else None,
        start_conversation=StartConversation(
            units_of_work=units_of_work, reader=reader, clock=now, new_hex=new_hex
        ),
        close_conversation=CloseConversation(
            units_of_work=units_of_work, clock=now, new_hex=new_hex
        ),
        conversations=reader,
        storage=storage,
        probes=probes,
    )


@asynccontextmanager
async def served(parts: Parts, app: FastAPI | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """Open the app and talk to it without a socket; every answer must be a documented one."""
    app = app or app_of(parts)
    async with app.router.lifespan_context(app):
        transport = httpx.ASGITransport(app)
        async with httpx.AsyncClient(
            transport=transport,
            base_url="http://prosa",
            event_hooks={"response": [require_documented]},
        ) as client:
            yield client


@asynccontextmanager
async def served_on_loopback(
    app: FastAPI, http: type[asyncio.Protocol] = HttpToolsProtocol
) -> AsyncIterator[httpx.AsyncClient]:
    """Serve by a real server, for what only connections show."""
    config = uvicorn.Config(app, http=http, port=0, log_config=None, ws="none", lifespan="on")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    while not server.started:
        assert not serving.done()
        await asyncio.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        async with httpx.AsyncClient(base_url=f"http://127.0.0.1:{port}") as client:
            yield client
    finally:
        server.should_exit = True
        await serving


def app_of(
    parts: Parts,
    *,
    docs: bool = True,
    cors_origins: tuple[str, ...] = (),
    hosts: tuple[str, ...] | None = None,
    drain_seconds: float = 5.0,
    ping_seconds: float = 15.0,
    reader_seconds: float = 30.0,
    body_seconds: float = 15.0,
) -> FastAPI:
    @asynccontextmanager
    async def opened() -> AsyncIterator[Parts]:
        yield parts

    return create_app(
        opened,
        docs=docs,
        cors_origins=cors_origins,
        hosts=hosts,
        drain_seconds=drain_seconds,
        ping_seconds=ping_seconds,
        reader_seconds=reader_seconds,
        body_seconds=body_seconds,
    )


@cache
def document() -> dict[str, Any]:
    """Make the OpenAPI document; it is the same for every app."""
    return app_of(parts_with()).openapi()


@cache
def documented_operations() -> list[tuple[re.Pattern[str], str, dict[str, Any]]]:
    return [
        (re.compile(re.sub(r"\{\w+\}", "[^/]+", path)), method.upper(), operation)
        for path, operations in document()["paths"].items()
        for method, operation in operations.items()
    ]


async def require_documented(response: httpx.Response) -> None:
    """Prove of an answer that the OpenAPI document has its status and media type."""
    request = response.request
    for path, method, operation in documented_operations():
        if method == request.method and path.fullmatch(request.url.path):
            documented = operation["responses"][str(response.status_code)]
            media_type = response.headers.get("content-type", "").partition(";")[0]
            assert media_type in documented["content"] or not (media_type or documented["content"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    id: int
    name: str
    said: dict[str, object]


def events_in(text: str) -> list[Event]:
    """Read server-sent events; comments are passed over."""
    found = re.findall(r"^id: (\d+)\nevent: (\S+)\ndata: (.*)\n\n", text, re.MULTILINE)
    return [Event(id=int(number), name=name, said=json.loads(said)) for number, name, said in found]


def problem_in(response: httpx.Response) -> dict[str, object]:
    """Read a problem document: it has the documented shape and the status of its answer."""
    assert response.headers["content-type"] == "application/problem+json"
    problem = ProblemDocument.model_validate_json(response.content)
    assert problem.status == response.status_code
    return problem.model_dump()


def turn_in(response: httpx.Response) -> Turn:
    """Read a turn: it has the documented shape, and nothing else."""
    return Turn.model_validate_json(response.content)
