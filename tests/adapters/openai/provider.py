"""A provider on the loopback: answers like OpenAI, or breaks in every way that one may break."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass

WORDS = ("Olá", ", Ana", "! ", "Seu pedido ", "já ", "está a caminho ", "🚚.")
TEXT = "".join(WORDS)
USAGE = {
    "prompt_tokens": 21,
    "completion_tokens": 9,
    "prompt_tokens_details": {"cached_tokens": 4},
}

HANG = float("inf")
CLOSE = None

Step = bytes | float | None
"""What to do next: send bytes, pause for seconds, or close the connection."""


@dataclass(frozen=True)
class Received:
    """A request as it arrived."""

    path: str
    headers: dict[str, str]
    body: dict[str, object]


class Provider:
    """Gives the answers in `answers`, one a request, then what `otherwise` says: good ones."""

    def __init__(self) -> None:
        self.answers: deque[Iterable[Step]] = deque()
        self.otherwise: Callable[[Received], Iterable[Step]] = self._good
        self.requests: list[Received] = []
        self.asked = asyncio.Event()
        self.left = asyncio.Event()
        self.connections = 0
        self.delay = 0.0
        self.url = ""

    def will(self, *steps: Step) -> None:
        self.answers.append(steps)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await self._answer(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        received = await _received(reader)
        self.requests.append(received)
        self.asked.set()
        steps = self.answers.popleft() if self.answers else self.otherwise(received)
        for step in steps:
            if step is CLOSE:
                return False
            if isinstance(step, bytes):
                writer.write(step)
                await writer.drain()
            elif step == HANG:
                await reader.read()
                self.left.set()
                return False
            else:
                await asyncio.sleep(step)
        return True

    def _good(self, received: Received) -> Iterable[Step]:
        return (self.delay, good_answer(received))


@asynccontextmanager
async def running_provider() -> AsyncIterator[Provider]:
    provider = Provider()
    connections: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task
        connections.add(task)
        await provider.serve(reader, writer)

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    provider.url = f"http://{host}:{port}/v1"
    try:
        yield provider
    finally:
        server.close()
        for task in connections:
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)


async def _received(reader: asyncio.StreamReader) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {
        name.lower(): value
        for name, _, value in (line.partition(": ") for line in head[1:] if line)
    }
    body = await reader.readexactly(int(headers["content-length"]))
    return Received(path=head[0].split()[1], headers=headers, body=json.loads(body))


def good_answer(received: Received) -> bytes:
    words = ('{"answer": ', '"yes"}') if "response_format" in received.body else WORDS
    if received.body.get("stream"):
        return event_stream([delta({"content": word}) for word in words])
    return answer("".join(words))


def response(status: int, body: bytes, **headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status} Reason", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join((*lines, "", "")).encode() + body


def json_response(status: int, body: object, **headers: str) -> bytes:
    headers = {"Content_Type": "application/json"} | headers
    return response(status, json.dumps(body).encode(), **headers)


def completion(message: object, finish_reason: object = "stop", usage: object = USAGE) -> object:
    choice = {"index": 0, "message": message, "finish_reason": finish_reason}
    return {"object": "chat.completion", "choices": [choice], "usage": usage}


def answer(text: str, finish_reason: object = "stop") -> bytes:
    return json_response(200, completion({"role": "assistant", "content": text}, finish_reason))


def error(status: int, *, code: object = None, message: str = "no", **headers: str) -> bytes:
    body = {"error": {"code": code, "message": message, "type": "some_error"}}
    return json_response(status, body, **headers)


def delta(message: object, finish_reason: object = None) -> object:
    return {"choices": [{"index": 0, "delta": message, "finish_reason": finish_reason}]}


FINISH = delta({}, "stop")
STREAM_USAGE = {"choices": [], "usage": USAGE}
STREAM_HEAD = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
STREAM_END = b"0\r\n\r\n"


def event(chunk: object) -> bytes:
    return b"data: " + json.dumps(chunk, ensure_ascii=False).encode() + b"\n\n"


def chunked(piece: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(piece), piece)


def event_stream(chunks: Iterable[object]) -> bytes:
    events = [event(chunk) for chunk in (*chunks, FINISH, STREAM_USAGE)]
    return b"".join((STREAM_HEAD, *map(chunked, (*events, b"data: [DONE]\n\n")), STREAM_END))
