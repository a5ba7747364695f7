"""A bare HTTP/1.1 client for load: one request at a time on one keep-alive loopback connection."""

import asyncio
from typing import Final, NamedTuple, Self, cast

import httptools

_HEAD: Final = (
    b"POST %b HTTP/1.1\r\nhost: 127.0.0.1\r\n"
    b"content-type: application/json\r\ncontent-length: %d\r\n\r\n"
)


class Answer(NamedTuple):
    """A response, as far as a benchmark looks at it."""

    status: int
    body: bytes


class Connection(asyncio.Protocol):
    """Posts JSON and waits for the answer. Its users bound the waiting."""

    def __init__(self) -> None:
        self._waiter: asyncio.Future[Answer] | None = None
        self._parser = httptools.HttpResponseParser(self)
        self._body = b""

    @classmethod
    async def open(cls, port: int) -> Self:
        """Connect to a server on the loopback interface."""
        _, connection = await asyncio.get_running_loop().create_connection(cls, "127.0.0.1", port)
        return connection

    async def post(self, path: str, body: bytes) -> Answer:
        """Send a JSON body; `ConnectionError` if the server hangs up instead of answering."""
        if self._transport.is_closing():
            raise ConnectionResetError
        self._waiter = asyncio.get_running_loop().create_future()
        self._transport.write(_HEAD % (path.encode(), len(body)) + body)
        return await self._waiter

    def close(self) -> None:
        """Hang up."""
        self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Remember where to write."""
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is none of its subclasses

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the one who waits."""
        if self._waiter and not self._waiter.done():
            self._waiter.set_exception(ConnectionResetError(*([str(exc)] if exc else [])))

    def data_received(self, data: bytes) -> None:
        """Feed the parser, which calls the `on_…` methods below."""
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError:
            self._transport.abort()

    def on_message_begin(self) -> None:
        """Begin a response."""
        self._body = b""

    def on_body(self, body: bytes) -> None:
        """Take a piece of the response's body."""
        self._body += body

    def on_message_complete(self) -> None:
        """Hand the answer to the one who waits."""
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(Answer(self._parser.get_status_code(), self._body))
