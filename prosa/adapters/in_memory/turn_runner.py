"""A state machine in this process: it runs the steps of turns one after the other."""

import asyncio
from collections import deque
from collections.abc import Iterable

from prosa.application.ports.turn_runner import AttemptId, TurnNotStarted, TurnRunner
from prosa.application.turn_steps import TurnSteps
from prosa.domain.errors import StaleAttempt


class InMemoryTurnRunner(TurnRunner):
    """Runs each attempt once, in a task of its own, or refuses it by its script."""

    def __init__(self, steps: TurnSteps, script: Iterable[TurnNotStarted | None] = ()) -> None:
        self.script = deque(script)
        """What becomes of the next starts; None for one that goes well."""
        self.started: dict[AttemptId, asyncio.Task[None]] = {}
        self._steps = steps

    async def start(self, attempt: AttemptId) -> None:
        """Start a task that threads the steps through their store."""
        refused = self.script.popleft() if self.script else None
        if refused is not None:
            raise refused
        if attempt not in self.started:
            self.started[attempt] = asyncio.create_task(self._run(attempt))

    async def check(self) -> None:
        """There is nothing to look at."""

    async def _run(self, attempt: AttemptId) -> None:
        steps = self._steps
        try:
            for step in (steps.classify, steps.generate, steps.record):
                await step(attempt)
        except StaleAttempt:
            pass  # somebody else owns the turn
        except Exception as error:  # noqa: BLE001 - whatever it is, the turn has failed of it
            await steps.fail(attempt, type(error))
