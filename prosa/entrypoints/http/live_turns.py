"""Turns that run in this process, each in a task of its own: clients may go away, it goes on."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from prosa.application.take_turn import TakeTurn
from prosa.domain.identifiers import TurnId
from prosa.domain.turn import Attempt, Turn
from prosa.entrypoints.http.problem_table import RequestRefusedError, refusal

CANCEL_SECONDS = 2.5
"""How long a cancelled turn may take to store that it failed, and to let go of what it holds."""

Run = Coroutine[Any, Any, Turn]
OnFailure = Callable[[BaseException], None]
Outcome = Turn | BaseException


class LiveTurn:
    """A running turn as its clients watch it: what was said so far, then what came of it.

    Each client keeps its own place in `pieces`, so that a slow one holds up nobody and takes no
    memory. `turn` is the turn as it was accepted; `outcome` is there once it has ended.
    """

    def __init__(self, turn: Turn) -> None:
        self.turn = turn
        self.pieces: list[str] = []
        self.outcome: Outcome | None = None
        self._changed = asyncio.Event()

    async def say(self, piece: str) -> None:
        """Take the next released piece of the reply."""
        self.pieces.append(piece)
        self._wake()

    def end(self, outcome: Outcome) -> None:
        """Take the completed turn, or why it failed."""
        self.outcome = outcome
        self._wake()

    async def changed(self, within_seconds: float | None = None) -> bool:
        """Wait until more is said or the turn has ended; say whether that was in time."""
        try:
            async with asyncio.timeout(within_seconds):
                await self._changed.wait()
        except TimeoutError:
            return False
        return True

    async def completed(self) -> Turn:
        """Wait for the completed turn. Raises what it fails of."""
        while self.outcome is None:
            await self._changed.wait()
        if isinstance(self.outcome, BaseException):
            raise self.outcome
        return self.outcome

    def _wake(self) -> None:
        """Wake all who wait now; who comes later looks first at what there is."""
        self._changed.set()
        self._changed.clear()


class LiveTurns:
    """All turns that run in this process."""

    def __init__(self, drain_seconds: float) -> None:
        self._drain_seconds = drain_seconds
        # The event loop itself holds tasks only weakly.
        self._tasks: set[asyncio.Task[Turn]] = set()
        self._turns: dict[TurnId, LiveTurn] = {}
        self._cancelling: asyncio.TimerHandle | None = None

    def run(
        self, take_turn: TakeTurn, attempt: Attempt, on_failure: OnFailure | None = None
    ) -> LiveTurn:
        """Run an accepted attempt; only its outcome is said."""
        return self._start(LiveTurn(attempt.turn), take_turn.run(attempt), on_failure)

    def stream(
        self, take_turn: TakeTurn, attempt: Attempt, on_failure: OnFailure | None = None
    ) -> LiveTurn:
        """Run an accepted attempt; its reply is said piece by piece."""
        live = LiveTurn(attempt.turn)
        return self._start(live, take_turn.run(attempt, live.say), on_failure)

    def wait(self, turn: Turn, completed: Run) -> LiveTurn:
        """Wait for a turn that runs elsewhere; only its outcome is said."""
        return self._start(LiveTurn(turn), completed)

    def find(self, turn: Turn) -> LiveTurn | None:
        """Find a turn that runs here; not where a newer attempt at it runs elsewhere."""
        live = self._turns.get(turn.id)
        return live if live is not None and live.turn.attempt >= turn.attempt else None

    def require_open(self) -> None:
        """Raise RequestRefusedError (`shutting_down`) where no more turns are taken."""
        if self._cancelling is not None:
            raise RequestRefusedError(refusal("shutting_down"))

    def close(self) -> asyncio.TimerHandle:
        """Take no more turns; give the instant at which those that still run are cancelled."""
        if self._cancelling is None:
            loop = asyncio.get_running_loop()
            self._cancelling = loop.call_later(self._drain_seconds, self._cancel)
        return self._cancelling

    async def drain(self) -> None:
        """Close, and wait until all have ended: no longer than cancelled ones may take."""
        until = self.close().when() + CANCEL_SECONDS
        loop = asyncio.get_running_loop()
        while self._tasks and (left := until - loop.time()) > 0:
            await asyncio.wait(self._tasks, timeout=left)

    def _cancel(self) -> None:
        for task in self._tasks:
            task.cancel()

    def _start(self, live: LiveTurn, run: Run, on_failure: OnFailure | None = None) -> LiveTurn:
        task = asyncio.create_task(run)
        self._tasks.add(task)
        self._turns[live.turn.id] = live

        def ended(task: asyncio.Task[Turn]) -> None:
            self._tasks.discard(task)
            if self._turns.get(live.turn.id) is live:
                del self._turns[live.turn.id]
            outcome = _outcome_of(task)
            live.end(outcome)
            if on_failure is not None and isinstance(outcome, BaseException):
                on_failure(outcome)

        task.add_done_callback(ended)
        return live


def _outcome_of(task: asyncio.Task[Turn]) -> Outcome:
    if task.cancelled():
        return RequestRefusedError(refusal("interrupted"))
    return task.exception() or task.result()
