"""A server on the loopback that answers step by step: it sends bytes, pauses, or breaks off."""

import asyncio
import json
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterable
from contextlib import aclosing, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

HOST = "127.0.0.1"

HANG = float("inf")
CLOSE = None

Step = bytes | float | None
"""What to do next: send bytes, pause for seconds, or close the connection."""

Json = dict[str, Any]


@dataclass(frozen=True)
class Received:
    """A request as it arrived."""

    path: str
    headers: dict[str, str]
    """By their names in lower case."""
    body: Json


Steps = Iterable[Step] | AsyncGenerator[Step]

Answerer = Callable[[Received], Steps]
"""Says how to answer a request; what it yields is asked for one step after the other."""


class LoopbackServer:
    """Gives the answers in `answers`, one a request, then what `otherwise` says."""

    def __init__(self, otherwise: Answerer) -> None:
        """Be ready to be served."""
        self.answers: deque[Iterable[Step]] = deque()
        self.otherwise = otherwise
        self.requests: list[Received] = []
        self.asked = asyncio.Event()
        """A request has come."""
        self.left = asyncio.Event()
        """A client has gone before it had its answer."""
        self.connections = 0
        self.url = ""

    def will(self, *steps: Step) -> None:
        """Answer the next request so."""
        self.answers.append(steps)

    def forget(self) -> None:
        """Forget what was asked, and what was still to be answered."""
        self.answers.clear()
        self.requests.clear()
        self.asked.clear()
        self.left.clear()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer what comes on a connection, until it ends."""
        self.connections += 1
        try:
            while await self._answer(reader, writer):
                pass
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError, ValueError):
            pass  # it was closed between two requests, or does not speak HTTP with JSON
        except ConnectionError:
            self.left.set()
        finally:
            writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request, and tell whether another may follow."""
        received = await _received(reader)
        self.requests.append(received)
        self.asked.set()
        steps = self.answers.popleft() if self.answers else self.otherwise(received)
        async with aclosing(_each(steps)) as each:
            async for step in each:
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


@asynccontextmanager
async def served(server: LoopbackServer, port: int = 0) -> AsyncIterator[None]:
    """Serve on a port of 127.0.0.1, by default any free one."""
    connections: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        if task is not None:
            connections.add(task)
            task.add_done_callback(connections.discard)
        with suppress(asyncio.CancelledError):
            await server.serve(reader, writer)

    listening = await asyncio.start_server(connected, HOST, port)
    host, port = listening.sockets[0].getsockname()
    server.url = f"http://{host}:{port}"
    try:
        yield
    finally:
        listening.close()
        ending = list(connections)
        for task in ending:
            task.cancel()
        await asyncio.gather(*ending, return_exceptions=True)


async def _each(steps: Steps) -> AsyncGenerator[Step]:
    if isinstance(steps, AsyncGenerator):
        async with aclosing(steps):
            async for step in steps:
                yield step
        return
    for step in steps:
        yield step


async def _received(reader: asyncio.StreamReader) -> Received:
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = {
        name.lower(): value
        for name, _, value in (line.partition(": ") for line in head[1:] if line)
    }
    body = await reader.readexactly(int(headers.get("content-length", 0)))
    _, path, _ = head[0].split()
    return Received(path=path, headers=headers, body=json.loads(body or b"{}"))


def response(status: int, body: bytes, **headers: str) -> bytes:
    """Write an answer; a header's name has `_` where it means `-`."""
    lines = [f"HTTP/1.1 {status} Reason", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return "\r\n".join((*lines, "", "")).encode() + body


def json_response(status: int, body: object, **headers: str) -> bytes:
    """Write an answer that is JSON."""
    headers = {"Content_Type": "application/json"} | headers
    return response(status, json.dumps(body).encode(), **headers)


def chunked(piece: bytes) -> bytes:
    """Write a chunk of an answer whose length nobody knows yet."""
    return b"%x\r\n%s\r\n" % (len(piece), piece)


LAST_CHUNK = b"0\r\n\r\n"
