"""Processes of Prosa's that run beside this one, and end with it."""

import asyncio
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress

from prosa.domain.errors import ConfigurationError

SECONDS_TO_END = 30.0
"""For the turns that run when they are told to end; after that they are killed."""

Command = Sequence[str]
"""What follows `prosa`. The first line that it prints says that it is ready."""


@asynccontextmanager
async def running(commands: Sequence[Command]) -> AsyncIterator[list[Process]]:
    """Run commands of `prosa` until the block is left.

    Whoever is cancelled while they end has them killed. Raises ConfigurationError where one does
    not start: it has said why.
    """
    processes: list[Process] = []
    try:
        for command in commands:
            process = await _start(command)
            processes.append(process)
        for command, process in zip(commands, processes, strict=True):
            await _require_ready(command, process)
        yield processes
    finally:
        await _end(processes)


async def require_all(commands: Sequence[Command], processes: Sequence[Process]) -> None:
    """Wait for ever. Raises ConfigurationError when one of them has ended by itself."""
    waiting = {
        asyncio.create_task(process.wait()): command
        for command, process in zip(commands, processes, strict=True)
    }
    try:
        (ended, *_), _ = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in waiting:
            task.cancel()
    raise ConfigurationError(f"{_name(waiting[ended])} ended by itself: see what it wrote above")


async def _start(command: Command) -> Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "prosa", *command),
        stdin=DEVNULL,
        stdout=PIPE,
        # A terminal's Ctrl-C is for this process, which tells them to end, and in which order.
        start_new_session=True,
    )


async def _require_ready(command: Command, process: Process) -> None:
    if process.stdout is None or not await process.stdout.readline():
        raise ConfigurationError(f"{_name(command)} did not start: see what it wrote above")


async def _end(processes: Sequence[Process]) -> None:
    for process in processes:
        with suppress(ProcessLookupError):
            process.terminate()
    ends = asyncio.gather(*(process.wait() for process in processes))
    with suppress(TimeoutError, asyncio.CancelledError):
        async with asyncio.timeout(SECONDS_TO_END):
            await asyncio.shield(ends)
    for process in processes:
        with suppress(ProcessLookupError):
            process.kill()
    await ends


def _name(command: Command) -> str:
    return f"prosa {command[0]}"
