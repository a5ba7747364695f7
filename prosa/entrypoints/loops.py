"""Runs chores beside whatever else a process does: again and again, and through failures."""

import asyncio
import logging
import random
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from prosa.bootstrap.parts import Chore
from prosa.domain.errors import PortFailure

logger = logging.getLogger(__name__)

SECONDS_BETWEEN = 0.02
"""While there is more to do: what arrives meanwhile is done together, at less cost."""

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 30.0
"""Seconds after a failure: doubled for each in a row, half of them left to chance."""

SECONDS_AT_END = 2.0


@asynccontextmanager
async def doing(chores: Sequence[Chore]) -> AsyncIterator[None]:
    """Do the chores within the block.

    After it each ends what it is at, and does what is left where it is a chore for the end. What is
    not done in 2 s then is broken off.
    """
    loops = [ChoreLoop(chore) for chore in chores]
    tasks = [asyncio.create_task(loop.run(), name=loop.chore.name) for loop in loops]
    try:
        yield
    finally:
        for loop in loops:
            loop.stop()
        await _finish(tasks)


async def _finish(tasks: Sequence[asyncio.Task[None]]) -> None:
    if not tasks:
        return
    _, late = await asyncio.wait(tasks, timeout=SECONDS_AT_END)
    for task in late:
        task.cancel()
    if late:
        await asyncio.wait(late, timeout=SECONDS_AT_END)


class ChoreLoop:
    """Does one chore until it is stopped."""

    def __init__(self, chore: Chore) -> None:
        self.chore = chore
        self._stopped = asyncio.Event()
        self._failures = 0

    async def run(self) -> None:
        """Do the chore when its doorbell rings, and every so many seconds anyway."""
        while not self._stopped.is_set():
            self.chore.doorbell.clear()
            await self._rest(more=await self._do())
        if self.chore.at_end:
            while await self._do():
                pass

    def stop(self) -> None:
        """Have it end."""
        self._stopped.set()
        self.chore.doorbell.set()

    async def _do(self) -> bool:
        """Do it once, and tell whether there may be more to do."""
        try:
            more = await self.chore.work()
        except PortFailure as error:
            self._failures += 1
            logger.warning("%s failed, and is tried again: %s", self.chore.name, error)
            return False
        except Exception as error:  # noqa: BLE001 - a loop that ended would be missed by nobody
            self._failures += 1
            # The type only: what it says may hold anything.
            logger.error("%s failed: %s", self.chore.name, type(error).__name__)  # noqa: TRY400 - as above
            return False
        self._failures = 0
        return more

    async def _rest(self, *, more: bool) -> None:
        """Wait until there is something to do; after a failure, whatever there is to do."""
        if self._failures:
            longest = min(FIRST_PAUSE * 2 ** (self._failures - 1), LONGEST_PAUSE)
            pause = longest * (1 + random.random()) / 2  # noqa: S311 - chance, no secret  # nosec B311
            await _wait(self._stopped, pause)
        elif more:
            await asyncio.sleep(SECONDS_BETWEEN)
        else:
            await _wait(self.chore.doorbell, self.chore.every_seconds)


async def _wait(event: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await event.wait()
    except TimeoutError:
        pass
