"""A network between a client and a server that refuses, answers for the server, or breaks off."""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

HEAD_ENDS = b"\r\n\r\n"


@dataclass(frozen=True, slots=True)
class Refuse:
    """Hang up without a word."""


@dataclass(frozen=True, slots=True)
class Hang:
    """Take the request, and never say anything."""


@dataclass(frozen=True, slots=True)
class Answer:
    """Answer in the server's place, as a gateway does."""

    status: str
    headers: tuple[str, ...] = ()
    body: str = "<html>"

    def written(self) -> bytes:
        length = f"Content-Length: {len(self.body)}"
        lines = [f"HTTP/1.1 {self.status}", length, "Connection: close", *self.headers]
        return ("\r\n".join(lines)).encode() + HEAD_ENDS + self.body.encode()


@dataclass(frozen=True, slots=True)
class Repeat:
    """Say something, then other words again and again, for far longer than any call waits."""

    first: bytes
    words: bytes

    async def say(self, writer: asyncio.StreamWriter) -> None:
        writer.write(self.first)
        for _ in range(400):
            writer.write(self.words)
            await writer.drain()
            await asyncio.sleep(0.03)


@dataclass(frozen=True, slots=True)
class CutAt:
    """Break off where the server says `words`, behind the first `kept` bytes of them."""

    words: bytes
    kept: int = 0


Fault = Refuse | Hang | Answer | Repeat | CutAt


@dataclass(kw_only=True)
class Network:
    """Passes requests on, once its faults are used up: each is for one connection, in order."""

    server_port: int
    port: int = 0
    faults: deque[Fault] = field(default_factory=deque)
    requests: list[str] = field(default_factory=list)
    """The heads of all requests, faulty or not."""
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def headers(self, name: str) -> list[str]:
        """List what requests said in a header, leaving out those without it."""
        lines = [line for head in self.requests for line in head.splitlines()]
        pairs = [line.partition(": ") for line in lines]
        return [value for found, _, value in pairs if found.lower() == name]

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        with contextlib.suppress(OSError, asyncio.CancelledError, asyncio.IncompleteReadError):
            await self._serve(reader, writer)
        writer.close()
        self._tasks.discard(task)

    async def close(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(HEAD_ENDS)
        fault = self.faults.popleft() if self.faults else None
        self.requests.append(head.decode())
        match fault:
            case Refuse():
                return
            case Hang():
                await reader.read()
            case Answer():
                writer.write(fault.written())
                await writer.drain()
            case Repeat():
                await fault.say(writer)
            case _:
                await self._pass_on(head, reader, writer, fault)

    async def _pass_on(
        self,
        head: bytes,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        cut: CutAt | None,
    ) -> None:
        """Pass one request on, and its answer as far as the fault allows."""
        server, to_server = await asyncio.open_connection("127.0.0.1", self.server_port)
        to_server.write(head.replace(b"\r\n\r\n", b"\r\nConnection: close\r\n\r\n"))
        sending = asyncio.create_task(_copy(reader, to_server))
        try:
            await _answer(server, writer, cut)
        finally:
            sending.cancel()
            to_server.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while said := await reader.read(65_536):
        writer.write(said)


async def _answer(
    server: asyncio.StreamReader, writer: asyncio.StreamWriter, cut: CutAt | None
) -> None:
    """Copy an answer; what may be the beginning of the words to cut at is held back."""
    held = b""
    while said := await server.read(65_536):
        held += said
        if cut is None:
            writer.write(held)
            held = b""
        elif cut.words in held:
            writer.write(held[: held.index(cut.words) + cut.kept])
            await writer.drain()
            return
    writer.write(held)
    await writer.drain()


@asynccontextmanager
async def network_to(server_port: int) -> AsyncIterator[Network]:
    """Listen on a port of its own."""
    network = Network(server_port=server_port)
    listening = await asyncio.start_server(network.connect, "127.0.0.1", 0)
    network.port = listening.sockets[0].getsockname()[1]
    try:
        yield network
    finally:
        listening.close()
        await network.close()
