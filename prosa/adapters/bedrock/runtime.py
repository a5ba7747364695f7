"""Bedrock's runtime for the event loop: boto3 in a bounded number of threads of its own.

A call that hangs holds one of these threads and nothing else: not the event loop, and no thread
that other work needs. Who waits for it goes at once when time is up; the thread follows when its
socket's time is up, which is the time that the call had.
"""

import asyncio
import threading
import time
from collections.abc import AsyncGenerator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, suppress
from typing import TYPE_CHECKING

from prosa.adapters.bedrock.wire_format import Json
from prosa.application.ports.language_model import ModelUnavailable

if TYPE_CHECKING:
    from urllib3 import HTTPResponse

    from prosa.adapters.bedrock.client import BedrockClient, Operation

EVENTS_AHEAD = 64
"""How many events of a stream may wait to be listened to, before its thread waits."""


class BedrockRuntime:
    """Calls Bedrock. `open` makes the client, or else the first call does; `aclose` ends it."""

    def __init__(self, source: str, *, threads: int) -> None:
        """Make nothing yet; `source` is whom errors name, `threads` how many calls run at once."""
        self._source = source
        self._size = threads
        self._threads = ThreadPoolExecutor(threads, thread_name_prefix="bedrock")
        self._opening: Future[BedrockClient] | None = None
        self._closed = False

    async def open(self) -> None:
        """Import boto3 and make the client, off the event loop: 0.3 s.

        Raises ConfigurationError, as where no region is set.
        """
        await self._client()

    async def call(self, operation: "Operation", arguments: Json, seconds: float) -> Json:
        """Make one request that may take `seconds`. Raises LanguageModelError.

        Waits for a free thread, so the caller bounds the whole.
        """
        until = time.monotonic() + seconds
        client = await self._client()
        return await asyncio.get_running_loop().run_in_executor(
            self._threads, client.answer, operation, arguments, until
        )

    async def stream(self, arguments: Json, seconds: float) -> AsyncGenerator[Json]:
        """Make one request and give its events as they come; being closed, end it."""
        until = time.monotonic() + seconds
        client = await self._client()
        stream = _Stream()
        reading = asyncio.get_running_loop().run_in_executor(
            self._threads, stream.read, client, arguments, until
        )
        reading.add_done_callback(stream.end)
        try:
            while (event := await stream.next_event()) is not None:
                yield event
            await reading
        finally:
            stream.leave()
            reading.cancel()

    async def aclose(self) -> None:
        """Close what is idle. What still hangs ends when its time is up."""
        self._closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._opening and self._opening.done() and not self._opening.exception():
            self._opening.result().close()

    async def _client(self) -> "BedrockClient":
        """Give the client; who comes while it is being made waits for the same one."""
        if self._closed:
            raise ModelUnavailable(f"{self._source} is closed")
        if self._opening is None:
            self._opening = self._threads.submit(self._make_client)
        # Shielded, so that one caller's deadline does not end it for the others.
        return await asyncio.shield(asyncio.wrap_future(self._opening))

    def _make_client(self) -> "BedrockClient":
        from prosa.adapters.bedrock.client import BedrockClient  # noqa: PLC0415 - imports boto3

        return BedrockClient(self._source, connections=self._size)


class _Stream:
    """Carries events from the thread that reads them to the event loop that made this.

    The thread waits where the loop is behind, and stops where nobody listens any more.
    """

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._events: asyncio.Queue[Json | None] = asyncio.Queue()
        self._room = threading.Semaphore(EVENTS_AHEAD)
        self._left = False
        self._response: HTTPResponse | None = None

    async def next_event(self) -> Json | None:
        """Give the next event; None after the last one."""
        event = await self._events.get()
        self._room.release()
        return event

    def leave(self) -> None:
        """Stop the thread: it may wait for room, or for its socket."""
        self._left = True
        self._room.release()
        self._interrupt()

    def end(self, reading: asyncio.Future[None]) -> None:
        """Say, on the loop, that there are no more events."""
        # Looked at here, too: whoever has stopped listening does not look.
        if not reading.cancelled():
            reading.exception()
        self._events.put_nowait(None)

    def read(self, client: "BedrockClient", arguments: Json, until: float) -> None:
        """Pass events on, in a thread, until there are none or nobody listens."""
        with closing(client.events(arguments, until, self._keep)) as events:
            for event in events:
                self._room.acquire()
                if self._left:
                    return
                self._loop.call_soon_threadsafe(self._events.put_nowait, event)

    def _keep(self, response: "HTTPResponse") -> None:
        self._response = response
        if self._left:
            self._interrupt()

    def _interrupt(self) -> None:
        """End the thread's wait for its socket, which closing it would not."""
        # It may have been read to its end meanwhile, or be the body of an error.
        with suppress(AttributeError, OSError, RuntimeError, ValueError):
            if self._response:
                self._response.shutdown()
