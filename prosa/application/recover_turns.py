"""Recover turns whose attempt has crashed: finish them, or fail them."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from prosa.application.ports.expired_turns import ExpiredTurn, ExpiredTurns
from prosa.application.ports.unit_of_work import (
    CommitUnknown,
    StorageUnavailable,
    VersionConflict,
)
from prosa.application.run_elsewhere import RunElsewhere
from prosa.application.take_turn import TakeTurn
from prosa.domain.errors import ProsaError, TurnInProgress, TurnNotFound
from prosa.domain.identifiers import Clock
from prosa.domain.turn import Attempt, TurnStatus

TURNS_A_PASS = 100
TURNS_AT_ONCE = 8

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """What a pass came to: how many turns were run again, however that ended, and failed."""

    run_again: int = 0
    failed: int = 0
    """Without those that were run again."""
    failed_again: int = 0
    """Of those that were run again; of what runs elsewhere, those that could not be started."""

    def __add__(self, other: "Recovered") -> "Recovered":
        return Recovered(
            run_again=self.run_again + other.run_again,
            failed=self.failed + other.failed,
            failed_again=self.failed_again + other.failed_again,
        )


Count = Callable[[Recovered], object]


def uncounted(_: Recovered) -> None:
    """Leave counting to whoever waits for the end of the pass."""


class RecoverTurns:
    """Sees to crashed turns, of all tenants. Any number may do so at once."""

    def __init__(
        self,
        *,
        expired_turns: ExpiredTurns,
        take_turn: TakeTurn,
        clock: Clock,
        run_elsewhere: RunElsewhere | None = None,
    ) -> None:
        """With `run_elsewhere`, turns are run again there and not waited for."""
        self._expired_turns = expired_turns
        self._accept = take_turn.accept
        self._run_again = run_elsewhere or take_turn.run
        self._clock = clock

    async def __call__(self, count: Count = uncounted) -> Recovered:
        """Look once for turns whose lease has run out, and see to those that were found.

        A turn for which no caller waits is run again, with all the time that a turn may take; any
        other is failed, and its key may run it again. `count` is told of each at once, so that what
        a pass came to is known even where it is cancelled: it fails those that run then.
        Raises StorageUnavailable, after those that run have ended.
        """
        waiting = deque(await self._expired_turns.find(now=self._clock(), limit=TURNS_A_PASS))
        total = Recovered()

        def add(recovered: Recovered) -> None:
            nonlocal total
            total += recovered
            count(recovered)

        async def see_to_waiting() -> None:
            while waiting:
                try:
                    await self._recover(waiting.popleft(), add)
                except StorageUnavailable:
                    waiting.clear()
                    raise

        results = await asyncio.gather(
            *(see_to_waiting() for _ in range(TURNS_AT_ONCE)), return_exceptions=True
        )
        for error in filter(None, results):
            raise error
        return total

    async def _recover(self, expired: ExpiredTurn, count: Count) -> None:
        try:
            accepted = await self._accept.recover(expired.tenant_id, expired.turn_id)
        except (VersionConflict, TurnInProgress, TurnNotFound):
            return  # somebody else was first
        except CommitUnknown as error:
            raise StorageUnavailable("the database does not answer") from error
        if accepted.attempt is not None:
            count(Recovered(run_again=1))
            await self._run(accepted.attempt, count)
        elif accepted.turn.status is TurnStatus.FAILED and not accepted.replayed:
            count(Recovered(failed=1))
            logger.info("turn %s had crashed and is failed", accepted.turn.id)

    async def _run(self, attempt: Attempt, count: Count) -> None:
        """Run a recovered attempt; where it fails, its turn has failed, and that is all."""
        logger.info("turn %s had crashed and is run again", attempt.turn_id)
        try:
            with _counting_failure(count):
                await self._run_again(attempt)
        except ProsaError as error:
            logger.warning("turn %s failed again: %s", attempt.turn_id, type(error).__name__)
        except Exception as error:  # noqa: BLE001 - a bug in one turn must not end the others
            # Only its class: what it says might quote a message.
            logger.error("turn %s failed of %s", attempt.turn_id, type(error).__name__)  # noqa: TRY400 - a traceback ends in what it says


@contextmanager
def _counting_failure(count: Count) -> Iterator[None]:
    """Count what fails, also by being cancelled."""
    try:
        yield
    except BaseException:
        count(Recovered(failed_again=1))
        raise
