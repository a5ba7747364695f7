"""Commands that work in passes: until nothing is due any more, or until a signal ends them."""

import asyncio
import contextlib
import signal
from collections.abc import Awaitable, Callable, Coroutine
from typing import Generic, Protocol, Self, TypeVar


class Tally(Protocol):
    """Counts what a pass came to; equal to another that counts the same."""

    def __add__(self, other: Self, /) -> Self:
        """Count both together."""


T = TypeVar("T", bound=Tally)
MakePass = Callable[[Callable[[T], None]], Awaitable[T]]
"""Makes one pass, tells bit by bit what it comes to, and returns all of it."""


class Passes(Generic[T]):
    """Makes passes, and keeps in `total` what they came to together, though one is broken off."""

    def __init__(self, make: MakePass[T], nothing: T) -> None:
        """`make` makes one pass; it comes to `nothing` where nothing was due."""
        self.total = nothing
        self._make = make
        self._nothing = nothing
        self._stopped = False

    async def one(self) -> bool:
        """Make one pass, and tell whether anything was due."""
        return await self._make(self._count) != self._nothing

    async def until_nothing_is_due(self) -> None:
        """Make passes until one finds nothing, or they are stopped."""
        while not self._stopped and await self.one():
            pass

    def stop(self) -> None:
        """Make no further pass."""
        self._stopped = True

    def _count(self, found: T) -> None:
        self.total += found


def counted_at_its_end(make: Callable[[], Awaitable[T]]) -> MakePass[T]:
    """Have a pass tell what it came to when it has ended."""

    async def counted(count: Callable[[T], None]) -> T:
        found = await make()
        count(found)
        return found

    return counted


async def until_stopped(work: Coroutine[None, None, None], stop: Callable[[], None]) -> None:
    """Work until it is done; the first signal calls `stop`, a second one breaks it off."""
    working = asyncio.create_task(work)

    def stop_at_first() -> None:
        _at_signal(working.cancel)
        stop()

    _at_signal(stop_at_first)
    await _ended(working)


async def until_broken_off(work: Coroutine[None, None, None]) -> None:
    """Work until it is done; the first signal breaks it off."""
    working = asyncio.create_task(work)
    _at_signal(working.cancel)
    await _ended(working)


async def _ended(working: asyncio.Task[None]) -> None:
    with contextlib.suppress(asyncio.CancelledError):
        await working


def _at_signal(call: Callable[[], object]) -> None:
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, call)
