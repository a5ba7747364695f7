"""Have accepted turns run elsewhere, and see that none is forgotten that could not be started."""

import contextlib

from prosa.application.ports.attempt_store import AttemptStore
from prosa.application.ports.turn_runner import AttemptId, TurnRunner
from prosa.application.take_turn import TakeTurn
from prosa.domain.errors import PortFailure, StaleAttempt
from prosa.domain.turn import Attempt


class RunElsewhere:
    """Hands accepted attempts on."""

    def __init__(self, *, runner: TurnRunner, attempts: AttemptStore, take_turn: TakeTurn) -> None:
        self._runner = runner
        self._attempts = attempts
        self._take_turn = take_turn

    async def __call__(self, attempt: Attempt) -> None:
        """Have an attempt run; where it cannot be, fail its turn, whose key may run it again.

        Raises TurnNotStarted, StorageUnavailable.
        """
        attempt_id = AttemptId(
            tenant_id=attempt.tenant_id, turn_id=attempt.turn_id, number=attempt.number
        )
        try:
            if attempt.findings:  # of the door's guardrail: nobody else knows of them
                await self._attempts.save(attempt)
            await self._runner.start(attempt_id)
        except Exception as error:
            with contextlib.suppress(PortFailure, StaleAttempt):
                await self._take_turn.fail(attempt, error)
            raise
