"""Ways to wait for exactly what a test goes on with, for as long as a busy machine may take."""

import asyncio
from collections.abc import Callable

SECONDS = 60
"""Far more than anything takes that a test waits for."""

ROUNDS = 50


async def until(true: Callable[[], object]) -> None:
    """Wait until something is true of which nothing tells."""
    async with asyncio.timeout(SECONDS):
        while not true():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.001)


async def until_idle() -> None:
    """Let the loop go round so often that whatever can go on without the test has done so.

    Time alone would not do: a process that is kept waiting may go round once in a second.
    """
    for _ in range(ROUNDS):
        await asyncio.sleep(0.001)
