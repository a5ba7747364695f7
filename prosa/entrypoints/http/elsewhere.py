"""Turns that run in other processes, watched by reading them again and again."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta

from prosa.application.ports.unit_of_work import StorageUnavailable
from prosa.application.run_elsewhere import RunElsewhere
from prosa.domain.errors import DeadlineExceeded, StaleAttempt
from prosa.domain.turn import Attempt, Turn, TurnStatus
from prosa.entrypoints.http.problem_table import RequestRefusedError, problem_of_failed

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 1.0

PAST_DEADLINE = timedelta(seconds=0.5)
"""What came in time may be stored a little late."""

ReadTurn = Callable[[], Awaitable[Turn]]


async def watched(
    turn: Turn, read: ReadTurn, *, until: Callable[[Turn], datetime]
) -> AsyncIterator[Turn]:
    """Read a turn after ever longer pauses, while it runs; `until` says how long at most."""
    pause = FIRST_PAUSE_SECONDS
    while turn.status is TurnStatus.RUNNING and (left := _seconds_to(until(turn))) > 0:
        await asyncio.sleep(min(pause, left))
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
        with contextlib.suppress(StorageUnavailable):  # it may be back before the time is up
            turn = await read()
        yield turn


async def completed_elsewhere(
    attempt: Attempt, run_elsewhere: RunElsewhere, read: ReadTurn
) -> Turn:
    """Have an attempt run elsewhere, and wait for its turn to be completed.

    Raises what `run_elsewhere` raises, DeadlineExceeded, StaleAttempt where another attempt went
    on with the turn, and RequestRefusedError that says what the turn failed of.
    """
    await run_elsewhere(attempt)
    turn = attempt.turn
    async for known in watched(turn, read, until=lambda _: attempt.deadline + PAST_DEADLINE):
        turn = known
    if turn.attempt != attempt.number:
        raise StaleAttempt(attempt.turn_id, attempt.number)
    if turn.status is TurnStatus.RUNNING:
        raise DeadlineExceeded(turn.id)
    if turn.status is TurnStatus.FAILED:
        raise RequestRefusedError(problem_of_failed(turn))
    return turn


def _seconds_to(until: datetime) -> float:
    return (until - datetime.now(UTC)).total_seconds()
