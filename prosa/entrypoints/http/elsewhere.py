"""Turns that run in other processes, awaited as HTTP tells what came of them."""

from prosa.application.run_elsewhere import RunElsewhere
from prosa.bootstrap.moments import now
from prosa.domain.turn import Attempt, Turn, TurnStatus
from prosa.entrypoints.elsewhere import ReadTurn, ended_elsewhere
from prosa.entrypoints.http.problem_table import RequestRefusedError, problem_of_failed


async def completed_elsewhere(
    attempt: Attempt, run_elsewhere: RunElsewhere, read: ReadTurn
) -> Turn:
    """Have an attempt run elsewhere, and wait for its turn to be completed.

    Raises what `ended_elsewhere` raises, and RequestRefusedError that says what the turn failed of.
    """
    turn = await ended_elsewhere(attempt, run_elsewhere, read, clock=now)
    if turn.status is TurnStatus.FAILED:
        raise RequestRefusedError(problem_of_failed(turn))
    return turn
