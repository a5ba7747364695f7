"""Bedrock's threads are stuck: whoever waits for them is answered in time, and nobody else waits.

Row 28 of the fault matrix, through HTTP, the whole application, boto3 and a stub on the loopback.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import httpx
import pytest

from embedded_aws.bedrock.wire_format import STREAM_HEAD, event
from embedded_aws.loopback_server import HANG, Answerer, LoopbackServer, Received, Step, chunked
from prosa.adapters.bedrock.language_model import BedrockLanguageModel
from prosa.bootstrap import bootstrap
from prosa.entrypoints.http.app import create_app
from prosa.settings import Settings
from tests.adapters.bedrock.stub import TEXT, answered_well, environment, running_stub
from tests.entrypoints.http.serving import STREAM, problem_in, served_on_loopback, turn_in

THREADS = 2
TURNS = 6
DEADLINE = 2.0
AT_ONCE = 1.0
"""Seconds for what waits for nothing, on a busy machine: less than any turn's deadline leaves."""

SOON = 5.0


@pytest.fixture
async def stub(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LoopbackServer]:
    async with running_stub() as stub:
        for name, value in environment(stub.url).items():
            monkeypatch.setenv(name, value)
        yield stub


@asynccontextmanager
async def bedrock_model() -> AsyncIterator[BedrockLanguageModel]:
    model = BedrockLanguageModel(
        model="anthropic.claude-3-5-haiku-20241022-v1:0",
        clock=lambda: datetime.now(UTC),
        threads=THREADS,
    )
    await model.open()
    yield model
    await model.aclose()


@pytest.fixture
async def client(stub: LoopbackServer, sqlite_url: str) -> AsyncIterator[httpx.AsyncClient]:
    """Serve the application with a model that has two threads, and talk to it."""
    assert stub.url
    settings = Settings(
        database_url=sqlite_url,
        deadline_seconds=DEADLINE,
        # That the breaker opens, too, is another row.
        breaker_failures=TURNS * 10,
    )
    # Few, so that who takes one of the event loop's own is noticed.
    asyncio.get_running_loop().set_default_executor(ThreadPoolExecutor(THREADS))
    async with bedrock_model() as model:
        app = create_app(lambda: bootstrap(settings, model=model))
        async with served_on_loopback(app) as client:
            client.timeout = httpx.Timeout(30)
            yield client


def hangs(_received: Received) -> Iterator[Step]:
    yield HANG


def drips(_received: Received) -> Iterator[Step]:
    """Show life for ever and say nothing, in less than a frame at a time."""
    yield STREAM_HEAD
    for byte in event("messageStart", {"role": "assistant" * 100}):
        yield chunked(bytes([byte]))
        yield 0.1


async def ask(client: httpx.AsyncClient, *, streamed: bool) -> httpx.Response:
    headers = STREAM if streamed else {}
    return await client.post("/v1/messages", json={"text": "Cadê meu pedido?"}, headers=headers)


# A plain answer comes whole: only its headers can be late.
@pytest.mark.parametrize(("fault", "streamed"), [(hangs, False), (hangs, True), (drips, True)])
async def test_with_every_thread_stuck_turns_end_in_time_and_nothing_else_waits(
    stub: LoopbackServer, client: httpx.AsyncClient, fault: Answerer, *, streamed: bool
) -> None:
    stub.otherwise = fault
    started = time.monotonic()
    turns = [asyncio.create_task(ask(client, streamed=streamed)) for _ in range(TURNS)]
    async with asyncio.timeout(DEADLINE):
        while len(stub.requests) < THREADS:
            await stub.asked.wait()
            await asyncio.sleep(0.01)

    async with asyncio.timeout(AT_ONCE):
        assert (await client.get("/healthz")).status_code == 200
        assert (await client.post("/v1/conversations", json={})).status_code == 201
        # The threads of the event loop's own are others.
        assert await asyncio.to_thread(str, "free") == "free"
    assert not any(turn.done() for turn in turns)

    answers = await asyncio.gather(*turns)
    assert time.monotonic() - started < DEADLINE + AT_ONCE
    assert {answer.status_code for answer in answers} <= {503, 504}
    assert {problem_in(answer)["code"] for answer in answers} <= {
        "deadline_exceeded",
        "model_unavailable",
    }


async def test_threads_that_were_stuck_are_free_again_once_their_calls_time_is_over(
    stub: LoopbackServer, client: httpx.AsyncClient
) -> None:
    stub.otherwise = hangs
    await asyncio.gather(*(ask(client, streamed=True) for _ in range(TURNS)))
    stub.otherwise = answered_well
    async with asyncio.timeout(SOON):
        answers = await asyncio.gather(*(ask(client, streamed=False) for _ in range(THREADS)))
    for answer in answers:
        assert answer.status_code == 200, answer.text
        reply = turn_in(answer).reply
        assert reply is not None
        assert reply.text == TEXT
