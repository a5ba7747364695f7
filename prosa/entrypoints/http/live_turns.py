"""Turns that run in tasks of their own: who asked for them may go away, the turn goes on."""

import asyncio
from collections.abc import Awaitable, Callable

from prosa.application.take_turn import TakeTurn
from prosa.domain.turn import Attempt, Turn
from prosa.entrypoints.http.problem_table import RequestRefusedError, refusal

CANCEL_SECONDS = 1.0
"""How long a cancelled turn may take to let go of what it holds."""

OnFailure = Callable[[BaseException], None]


class LiveTurn:
    """A running turn as one client watches it: released pieces, then what came of it."""

    def __init__(self) -> None:
        # Unbounded: a slow client must not hold up the turn, and a reply is short.
        self._arrivals: asyncio.Queue[str | Turn | BaseException] = asyncio.Queue()

    async def say(self, piece: str) -> None:
        """Take the next released piece of the reply."""
        self._arrivals.put_nowait(piece)

    def end(self, outcome: Turn | BaseException) -> None:
        """Take the completed turn, or why it failed."""
        self._arrivals.put_nowait(outcome)

    async def arrival(self, within_seconds: float | None = None) -> str | Turn | BaseException:
        """Wait for the next piece, or for the outcome. Raises TimeoutError."""
        async with asyncio.timeout(within_seconds):
            return await self._arrivals.get()


class LiveTurns:
    """All turns of this process that run in tasks of their own."""

    def __init__(self) -> None:
        # The event loop itself holds tasks only weakly.
        self._tasks: set[asyncio.Task[Turn]] = set()

    def stream(self, take_turn: TakeTurn, attempt: Attempt) -> LiveTurn:
        """Run an accepted attempt; its reply is said piece by piece."""
        live = LiveTurn()
        self._start(take_turn.run(attempt, live.say), live.end)
        return live

    def leave_to_run(self, take_turn: TakeTurn, attempt: Attempt, on_failure: OnFailure) -> None:
        """Run an accepted attempt for which nobody waits."""

        def end(outcome: Turn | BaseException) -> None:
            if isinstance(outcome, BaseException):
                on_failure(outcome)

        self._start(take_turn.run(attempt), end)

    async def drain(self, seconds: float) -> None:
        """Wait until all have ended; after `seconds` cancel those that have not.

        A cancelled turn is taken over or failed once its lease has run out.
        """
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=seconds)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=CANCEL_SECONDS)

    def _start(self, run: Awaitable[Turn], end: Callable[[Turn | BaseException], None]) -> None:
        task = asyncio.ensure_future(run)
        self._tasks.add(task)

        def ended(task: asyncio.Task[Turn]) -> None:
            self._tasks.discard(task)
            if task.cancelled():
                end(RequestRefusedError(refusal("shutting_down")))
            else:
                end(task.exception() or task.result())

        task.add_done_callback(ended)
