"""Rows 6, 10 and 11 of the fault matrix: servers that stop, clients that go away, slow clients."""

import asyncio
import contextlib
import json
import logging
import signal
import socket
import struct
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from embedded_aws.loopback_server import LAST_CHUNK, Received, Step, chunked
from prosa.adapters.in_memory.language_model import ScriptedLanguageModel
from prosa.application.ports.language_model import ModelRequest, OnText
from prosa.domain.identifiers import DEFAULT_TENANT
from prosa.domain.reply import Reply
from prosa.domain.turn import TurnStatus
from prosa.entrypoints.cli.connections import PunctualConnection
from prosa.testing.builders import a_reply
from tests.adapters.openai.provider import FINISH, STREAM_HEAD, delta, event, good_answer
from tests.entrypoints.http.serving import (
    LATER,
    STREAM,
    PausingModel,
    app_of,
    events_in,
    parts_with,
    served_on_loopback,
    turn_in,
)
from tests.faults.provider import FaultyProvider, hang, is_streamed
from tests.faults.serving import ServerProcess

BODY = {"text": "Cadê?"}
PIECES = ["Olá, Ana! ", "Saiu hoje. ", "Chega amanhã."]


def slowly(received: Received) -> Iterable[Step]:
    """Say a piece, and the others a second later: time enough to be stopped in between."""
    if not is_streamed(received):
        return [1.0, good_answer(received)]
    first, *others = [chunked(event(delta({"content": f"{piece}"}))) for piece in PIECES]
    done = [chunked(event(FINISH)), chunked(b"data: [DONE]\n\n"), LAST_CHUNK]
    return [STREAM_HEAD, first, others[0], 1.0, *others[1:], *done]


@asynccontextmanager
async def a_server(
    folder: Path, provider: FaultyProvider, *arguments: str, **variables: str
) -> AsyncIterator[ServerProcess]:
    """Start `prosa serve` in a process of its own."""
    settings = {
        "PROSA_MODELS": "openai:slow",
        "PROSA_OPENAI_BASE_URL": provider.url,
        "PROSA_LOG_LEVEL": "WARNING",
        **variables,
    }
    server = ServerProcess(["-W", "error", "-m", "prosa", "serve", *arguments], settings, folder)
    try:
        server.start()
        await server.ready()
        yield server
    finally:
        server.kill()


async def asked(provider: FaultyProvider) -> None:
    """Wait until the model is asked."""
    async with asyncio.timeout(10):
        while not provider.calls["slow"]:  # noqa: ASYNC110 - it counts and tells nobody
            await asyncio.sleep(0.01)


# Row 6: SIGTERM in a turn


@pytest.mark.parametrize(
    ("headers", "workers"),
    [({}, "1"), (STREAM, "1"), (LATER, "1"), (STREAM, "2")],
    ids=["plain", "streamed", "later", "streamed, 2 workers"],
)
async def test_a_server_that_is_told_to_stop_finishes_the_turns_that_run(
    tmp_path: Path, provider: FaultyProvider, headers: dict[str, str], workers: str
) -> None:
    provider.faults["slow"] = slowly
    async with (
        a_server(tmp_path, provider, "--workers", workers) as server,
        httpx.AsyncClient(base_url=server.url, timeout=30) as client,
    ):
        key = {"Idempotency-Key": "k"}
        asking = asyncio.create_task(
            client.post("/v1/messages", json=BODY, headers={**headers, **key})
        )
        await asked(provider)
        server.send(signal.SIGTERM)
        answer = await asking
        assert await server.end() == 0
        assert "Traceback" not in server.log
        server.start()
        await server.ready()
        # It was stored as it was answered, and no other model call was made.
        stored = await client.post("/v1/messages", json=BODY, headers=key)
    assert stored.headers["idempotent-replayed"] == "true"
    assert turn_in(stored).status == "completed"
    assert provider.calls["slow"] == 1
    if headers == STREAM:
        events = events_in(answer.text)
        assert [event.said.get("text") for event in events[1:-1]] == PIECES
        assert events[-1].said == stored.json()
    elif headers == LATER:
        assert answer.status_code == 202
    else:
        assert answer.content == stored.content


@pytest.mark.parametrize("headers", [{}, STREAM], ids=["plain", "streamed"])
async def test_a_server_that_is_told_to_stop_waits_for_no_turn_past_its_deadline(
    tmp_path: Path, provider: FaultyProvider, headers: dict[str, str]
) -> None:
    provider.faults["slow"] = hang
    async with (
        a_server(tmp_path, provider, PROSA_DEADLINE_SECONDS="2") as server,
        httpx.AsyncClient(base_url=server.url, timeout=30) as client,
    ):
        asking = asyncio.create_task(client.post("/v1/messages", json=BODY, headers=headers))
        await asked(provider)
        server.send(signal.SIGTERM)
        answer = await asking
        async with asyncio.timeout(7):
            assert await server.end() == 0
    assert answer.status_code == 504
    assert answer.json()["code"] == "deadline_exceeded"


# Row 10: the client disconnects


@pytest.mark.parametrize("headers", [{}, STREAM], ids=["plain", "streamed"])
async def test_a_turn_whose_client_goes_away_is_completed_and_stored(
    tmp_path: Path, provider: FaultyProvider, headers: dict[str, str]
) -> None:
    provider.faults["slow"] = slowly
    async with (
        a_server(tmp_path, provider) as server,
        httpx.AsyncClient(base_url=server.url, timeout=30) as client,
    ):
        async with connection_to(server.port) as (reader, writer):
            writer.write(request_of(BODY, {**headers, "Idempotency-Key": "k"}))
            await asked(provider)
            if headers:
                await reader.readuntil(b"turn.delta")
            reset(writer)
        turn = await completed(client)
    assert turn["reply"]
    assert provider.calls["slow"] == 1


@asynccontextmanager
async def connection_to(
    port: int | None,
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()


def request_of(body: object, headers: dict[str, str]) -> bytes:
    content = json.dumps(body).encode()
    lines = [
        "POST /v1/messages HTTP/1.1",
        "Host: 127.0.0.1",
        "Content-Type: application/json",
        f"Content-Length: {len(content)}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + content


def reset(writer: asyncio.StreamWriter) -> None:
    """Break the connection off, as a client does that crashes."""
    connection = writer.get_extra_info("socket")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    writer.transport.abort()


async def completed(client: httpx.AsyncClient) -> dict[str, object]:
    """Ask with the same key until the turn has ended; another turn would be a second call."""
    async with asyncio.timeout(15):
        while True:
            answer = await client.post("/v1/messages", json=BODY, headers={"Idempotency-Key": "k"})
            if answer.status_code != 409:
                assert answer.status_code == 200, answer.text
                turn: dict[str, object] = answer.json()
                return turn
            await asyncio.sleep(0.1)


# Row 11: slow bodies, slow readers


async def test_a_body_that_drips_is_refused_and_its_connection_closed() -> None:
    parts = parts_with()
    async with (
        served_on_loopback(app_of(parts, body_seconds=0.3)) as client,
        connection_to(client.base_url.port) as (reader, writer),
    ):
        writer.write(request_of(BODY, {})[:-10])
        answering = asyncio.create_task(reader.read())
        for drip in b'{"text"':
            await asyncio.sleep(0.02)
            writer.write(bytes([drip]))
            other = await client.post("/v1/messages", json=BODY)
            assert other.status_code == 200
        async with asyncio.timeout(5):
            answer = await answering  # to the end: the server closed it
    head, _, body = answer.partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408 ")
    assert b"connection: close" in head.lower()
    assert json.loads(body)["code"] == "request_timeout"
    assert len(parts.storage.of(DEFAULT_TENANT).turns) == len(b'{"text"')


class LongWindedModel(ScriptedLanguageModel):
    """Says at first more than any buffer between it and its client holds, then little."""

    async def generate(self, request: ModelRequest, on_text: OnText | None = None) -> Reply:
        if self.requests:
            return await super().generate(request, on_text)
        self.requests.append(request)
        words = ["x" * 200_000 + ". "] * 100
        if on_text:
            for word in words:
                await on_text(word)
        return a_reply("".join(words))


async def test_a_reader_that_takes_nothing_is_cut_off_and_its_turn_completed(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "prosa")
    parts = parts_with(LongWindedModel())
    async with served_on_loopback(app_of(parts, reader_seconds=0.3)) as client:
        with socket.create_connection(("127.0.0.1", client.base_url.port or 0)) as reading:
            reading.sendall(request_of(BODY, STREAM))
            async with asyncio.timeout(10):
                while "it is cut off" not in caplog.text:
                    other = await client.post("/v1/messages", json=BODY, headers=STREAM)
                    assert events_in(other.text)[-1].name == "turn.completed"
                    await asyncio.sleep(0.02)
            taken = await asyncio.to_thread(read_to_the_end, reading)
        first = next(iter(parts.storage.of(DEFAULT_TENANT).turns.values()))
        assert first.status is TurnStatus.COMPLETED
        whole = (await client.get(f"/v1/turns/{first.id}/events")).content
    assert b"event: turn.started" in taken
    assert len(taken) < len(whole)
    assert b"event: turn.completed" not in taken


def read_to_the_end(connection: socket.socket) -> bytes:
    connection.settimeout(10)
    return b"".join(iter(lambda: connection.recv(1 << 20), b""))


# What no route sees, `prosa serve` cuts


class ImpatientConnection(PunctualConnection):
    request_seconds = 0.2


async def test_headers_that_drip_are_not_waited_for() -> None:
    app = app_of(parts_with())
    async with served_on_loopback(app, http=ImpatientConnection) as client:
        port = client.base_url.port
        known = await client.post("/v1/messages", json=BODY)
        async with connection_to(port) as (reader, writer):
            dripping = asyncio.create_task(drip(writer))
            with contextlib.suppress(ConnectionError):
                async with asyncio.timeout(5):
                    assert await reader.read() == b""
            dripping.cancel()
        assert (await client.get(f"/v1/turns/{turn_in(known).id}")).status_code == 200


async def drip(writer: asyncio.StreamWriter) -> None:
    writer.write(b"GET /healthz HTTP/1.1\r\nHost: prosa\r\n")
    while True:
        writer.write(b"X: y\r\n")
        await asyncio.sleep(0.02)


async def test_what_takes_its_time_to_answer_is_not_cut() -> None:
    model = PausingModel()
    app = app_of(parts_with(model))
    async with served_on_loopback(app, http=ImpatientConnection) as client:
        asking = asyncio.create_task(client.post("/v1/messages", json=BODY))
        await asyncio.sleep(0.5)
        model.may_go_on.set()
        assert (await asking).status_code == 200
