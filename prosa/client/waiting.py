"""Waiting for an answer, no longer than its caller has time: what is not the same in both clients.

A task is woken when the time is up. A thread that waits for a connection cannot be: it looks at the
time whenever something comes, and a wait that has begun in time ends by its own timeout.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import aclosing

import httpx2

from prosa.client.tries import Tries

_WAITS = ("connect", "read", "write", "pool")


class Patience(Mapping[str, float]):
    """A request's timeouts, in seconds: each is what is left when its wait begins."""

    def __init__(self, tries: Tries) -> None:
        self._tries = tries

    def __getitem__(self, wait: str) -> float:
        return self._tries.patience

    def __iter__(self) -> Iterator[str]:
        return iter(_WAITS)

    def __len__(self) -> int:
        return len(_WAITS)


class AsyncBytesInTime(httpx2.AsyncByteStream):
    """An answer's bytes. Raises TimeoutError where the caller's time is up before the next come."""

    def __init__(self, response: httpx2.Response, tries: Tries) -> None:
        self._response = response
        self._tries = tries

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Wait for one piece after the other, whether it says anything or just that it is there."""
        async with aclosing(self._response.aiter_raw()) as pieces:
            while piece := await self._next(pieces):
                yield piece

    async def aclose(self) -> None:
        """Close the connection, or give it back."""
        await self._response.aclose()

    async def _next(self, pieces: AsyncIterator[bytes]) -> bytes:
        async with asyncio.timeout(self._tries.seconds_left):
            return await anext(pieces, b"")


class BytesInTime(httpx2.SyncByteStream):
    """An answer's bytes. Raises TimeoutError where the caller's time is up behind some of them."""

    def __init__(self, response: httpx2.Response, tries: Tries) -> None:
        self._response = response
        self._tries = tries

    def __iter__(self) -> Iterator[bytes]:
        """Wait for one piece after the other, whether it says anything or just that it is there."""
        for piece in self._response.iter_raw():
            yield piece
            self._tries.require_time()

    def close(self) -> None:
        """Close the connection, or give it back."""
        self._response.close()


async def async_begun(
    http: httpx2.AsyncClient, request: httpx2.Request, tries: Tries
) -> httpx2.Response:
    """Send a request and wait for the beginning of its answer. Raises TimeoutError."""
    async with asyncio.timeout(tries.seconds_left):
        response = await http.send(request, stream=True)
    return _in_time(response, AsyncBytesInTime(response, tries))


def begun(http: httpx2.Client, request: httpx2.Request, tries: Tries) -> httpx2.Response:
    """Send a request and wait for the beginning of its answer."""
    response = http.send(request, stream=True)
    return _in_time(response, BytesInTime(response, tries))


def _in_time(response: httpx2.Response, stream: AsyncBytesInTime | BytesInTime) -> httpx2.Response:
    return httpx2.Response(
        response.status_code, headers=response.headers, stream=stream, request=response.request
    )
