"""Both clients behind one form, so that each test is written once and run with each."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import Literal, cast

from prosa.client import AsyncClient, Client

Kind = Literal["asynchronous", "synchronous"]

SECONDS = 20.0
"""Far more than any call of a test takes."""

_END = object()


@dataclass
class Pauses:
    """Pauses that take no time: they are noted, and something may happen meanwhile."""

    seconds: list[float] = field(default_factory=list)
    meanwhile: Callable[[], Awaitable[None]] | None = None

    async def wait(self, seconds: float) -> None:
        self.seconds.append(seconds)
        if self.meanwhile is not None:
            await self.meanwhile()

    def wait_in_thread(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        asyncio.run_coroutine_threadsafe(self.wait(seconds), loop).result(SECONDS)


@dataclass(frozen=True)
class InThreads:
    """The client without asyncio, each call of it in a thread, in the form of the other."""

    client: Client

    def __getattr__(self, name: str) -> Callable[..., object]:
        method = getattr(self.client, name)
        if name in {"stream_message", "follow_turn"}:
            return lambda *given, **named: _opened(method(*given, **named))
        if name.startswith("each_"):
            return lambda *given, **named: _stepping(method(*given, **named))
        return partial(asyncio.to_thread, method)


@asynccontextmanager
async def a_client(
    kind: Kind,
    url: str,
    pauses: Pauses,
    *,
    tokens: Callable[[], str] | None = None,
    seconds: float = SECONDS,
    max_tries: int = 6,
) -> AsyncIterator[AsyncClient]:
    """Open a client of either kind."""
    if kind == "asynchronous":

        async def ask_token() -> str:
            assert tokens is not None
            return tokens()

        token = ask_token if tokens else None
        async with AsyncClient(
            url, token=token, seconds=seconds, max_tries=max_tries, pause=pauses.wait
        ) as client:
            yield client
    else:
        pause = partial(pauses.wait_in_thread, asyncio.get_running_loop())
        with Client(
            url, token=tokens, seconds=seconds, max_tries=max_tries, pause=pause
        ) as blocking:
            yield cast("AsyncClient", InThreads(blocking))


@asynccontextmanager
async def _opened(
    manager: AbstractContextManager[Iterator[object]],
) -> AsyncIterator[AsyncIterator[object]]:
    iterator = await asyncio.to_thread(manager.__enter__)
    try:
        yield _stepping(iterator)
    finally:
        await asyncio.to_thread(manager.__exit__, None, None, None)


async def _stepping(iterator: Iterator[object]) -> AsyncIterator[object]:
    while (item := await asyncio.to_thread(next, iterator, _END)) is not _END:
        yield item
