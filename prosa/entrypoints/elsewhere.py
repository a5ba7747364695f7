"""Turns that run in other processes, watched by reading them again and again."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from functools import partial

from prosa.application.accept_turn import AcceptTurn, CustomerMessage
from prosa.application.commit import SECONDS_PAST_DEADLINE
from prosa.application.ports.conversation_reader import ConversationReader
from prosa.application.ports.unit_of_work import StorageUnavailable
from prosa.application.run_elsewhere import RunElsewhere
from prosa.domain.errors import DeadlineExceeded, StaleAttempt, TurnFailed
from prosa.domain.identifiers import Clock, TurnId
from prosa.domain.turn import Attempt, Turn, TurnOutcome, TurnStatus

FIRST_PAUSE_SECONDS = 0.1
LONGEST_PAUSE_SECONDS = 1.0

ReadTurn = Callable[[], Awaitable[Turn]]


class FailedElsewhereError(Exception):
    """A turn failed where it ran, of what its code says, and may be run again."""

    def __init__(self, turn_id: TurnId, code: str) -> None:
        super().__init__(f"turn {turn_id} failed of {code}; the same key runs it again")


class TakeTurnElsewhere:
    """Takes turns as TakeTurn does, but has them run elsewhere, and waits for what comes of it."""

    def __init__(
        self,
        *,
        accept: AcceptTurn,
        run_elsewhere: RunElsewhere,
        reader: ConversationReader,
        clock: Clock,
    ) -> None:
        self._accept = accept
        self._run_elsewhere = run_elsewhere
        self._reader = reader
        self._clock = clock

    async def __call__(self, message: CustomerMessage) -> TurnOutcome:
        """Take a turn from the message to the recorded reply.

        Raises what `accept` and `ended_elsewhere` raise; of a turn that failed, TurnFailed where
        that is for good, and FailedElsewhereError where it is not.
        """
        accepted = await self._accept(message)
        attempt = accepted.attempt
        if attempt is None:
            return TurnOutcome(turn=accepted.turn, replayed=accepted.replayed)
        read = partial(self._reader.get_turn, attempt.tenant_id, attempt.turn_id)
        turn = await ended_elsewhere(attempt, self._run_elsewhere, read, clock=self._clock)
        if turn.error is None:
            return TurnOutcome(turn=turn, replayed=False)
        kind = FailedElsewhereError if turn.error.retryable else TurnFailed
        raise kind(turn.id, turn.error.code)


async def ended_elsewhere(
    attempt: Attempt, run_elsewhere: RunElsewhere, read: ReadTurn, *, clock: Clock
) -> Turn:
    """Have an attempt run elsewhere, and wait until its turn is completed, or has failed.

    Raises what `run_elsewhere` raises, DeadlineExceeded, and StaleAttempt where another attempt
    went on with the turn.
    """
    await run_elsewhere(attempt)
    turn, until = attempt.turn, attempt.deadline + timedelta(seconds=SECONDS_PAST_DEADLINE)
    async for known in watched(turn, read, until=lambda _: until, clock=clock):
        turn = known
    if turn.attempt != attempt.number:
        raise StaleAttempt(attempt.turn_id, attempt.number)
    if turn.status is TurnStatus.RUNNING:
        raise DeadlineExceeded(turn.id)
    return turn


async def watched(
    turn: Turn, read: ReadTurn, *, until: Callable[[Turn], datetime], clock: Clock
) -> AsyncIterator[Turn]:
    """Read a turn after ever longer pauses, while it runs; `until` says how long at most."""
    pause = FIRST_PAUSE_SECONDS
    while turn.status is TurnStatus.RUNNING and (left := until(turn) - clock()) > timedelta():
        await asyncio.sleep(min(pause, left.total_seconds()))
        pause = min(2 * pause, LONGEST_PAUSE_SECONDS)
        with contextlib.suppress(StorageUnavailable):  # it may be back before the time is up
            turn = await read()
        yield turn
