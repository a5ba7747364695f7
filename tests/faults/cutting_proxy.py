"""A network between Prosa and Postgres that breaks at a chosen statement."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from enum import Enum, auto

READY_FOR_QUERY = b"Z\x00\x00\x00\x05"
"""The last that the server says of a statement: what it wrote is committed.

https://www.postgresql.org/docs/current/protocol-message-formats.html
"""


class Cut(Enum):
    """Where the connection breaks."""

    BEFORE_THE_SERVER_HEARS_OF_IT = auto()
    BEFORE_THE_CLIENT_HEARS_OF_IT = auto()
    NOWHERE = auto()
    """It stays, but the client hears nothing any more."""


@dataclass(kw_only=True)
class CuttingProxy:
    """Passes everything on; breaks the connection of the first statement that holds `words`."""

    server_port: int
    port: int = 0
    words: bytes | None = None
    cut: Cut = Cut.BEFORE_THE_CLIENT_HEARS_OF_IT
    cuts: int = 0
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    """Is set when the server has answered what the client never hears of; who waits clears it."""
    _tasks: set[asyncio.Task[None]] = field(default_factory=set)

    def url(self, server_url: str) -> str:
        """Give the server's address by way of this."""
        return server_url.replace(f":{self.server_port}/", f":{self.port}/")

    def break_at(self, words: bytes, cut: Cut) -> None:
        """Break, once, at a statement or value with these words."""
        self.words, self.cut = words, cut

    async def connect(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Pass one connection on."""
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        # Of a task that ends by being cancelled, asyncio's streams would log that it was.
        with contextlib.suppress(OSError, asyncio.CancelledError):
            to_server = await asyncio.open_connection("127.0.0.1", self.server_port)
            wire = _Wire(self, (reader, writer), to_server)
            await wire.pass_on()
        writer.close()
        self._tasks.discard(task)

    async def close(self) -> None:
        """Break what is connected."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


Side = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class _Wire:
    """One connection."""

    def __init__(self, proxy: CuttingProxy, client: Side, server: Side) -> None:
        self._proxy, self._client, self._server = proxy, client, server
        self._cuts_at_answer = False

    async def pass_on(self) -> None:
        directions = [
            asyncio.create_task(self._to_server()),
            asyncio.create_task(self._to_client()),
        ]
        try:
            await asyncio.wait(directions, return_when=asyncio.FIRST_COMPLETED)
        finally:
            # Before anything is waited for: this task may be cancelled there.
            for _, writer in (self._client, self._server):
                writer.close()
            for direction in directions:
                direction.cancel()
            await asyncio.gather(*directions, return_exceptions=True)

    async def _to_server(self) -> None:
        while said := await self._client[0].read(65_536):
            proxy = self._proxy
            if proxy.words is not None and proxy.words in said:
                proxy.words = None
                proxy.cuts += 1
                if proxy.cut is Cut.BEFORE_THE_SERVER_HEARS_OF_IT:
                    return
                self._cuts_at_answer = True
            self._server[1].write(said)

    async def _to_client(self) -> None:
        while said := await self._server[0].read(65_536):
            if self._cuts_at_answer and READY_FOR_QUERY in said:
                if self._proxy.cut is not Cut.NOWHERE:
                    return
                self._proxy.reached.set()
                await asyncio.Future()
            self._client[1].write(said)


@contextlib.asynccontextmanager
async def cutting_proxy(server_port: int) -> AsyncIterator[CuttingProxy]:
    """Listen on a port of its own."""
    proxy = CuttingProxy(server_port=server_port)
    listening = await asyncio.start_server(proxy.connect, "127.0.0.1", 0)
    proxy.port = listening.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        listening.close()
        await proxy.close()
