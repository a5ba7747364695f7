"""The steps of a turn as tasks that share no process: each may come twice, and does no harm."""

import contextlib
from collections.abc import Awaitable, Callable

from prosa.application.commit import storing_by
from prosa.application.ports.attempt_store import AttemptStore
from prosa.application.ports.conversation_reader import ConversationReader
from prosa.application.ports.turn_runner import AttemptId
from prosa.application.take_turn import TakeTurn
from prosa.application.turn_policy import TurnPolicy
from prosa.domain.errors import PortFailure, StaleAttempt
from prosa.domain.identifiers import Clock
from prosa.domain.turn import Attempt, Turn, TurnStatus


class TurnSteps:
    """Takes each step of TakeTurn from what is stored to what is stored.

    A step whose result is stored already leaves it as it is. Every step raises StaleAttempt where
    the attempt does not own its turn any more, TurnNotFound, StorageUnavailable, CommitUnknown.
    """

    def __init__(
        self,
        *,
        take_turn: TakeTurn,
        attempts: AttemptStore,
        reader: ConversationReader,
        policy: TurnPolicy,
        clock: Clock,
    ) -> None:
        self._take_turn = take_turn
        self._attempts = attempts
        self._reader = reader
        self._policy = policy
        self._clock = clock

    async def classify(self, attempt_id: AttemptId) -> None:
        """Find out what the customer wants. Raises DeadlineExceeded."""
        attempt = await self._get(attempt_id)
        async with self._take_turn.time_for_models(attempt):
            classified = await self._take_turn.classify(attempt)
        await self._save(attempt, classified)

    async def generate(self, attempt_id: AttemptId) -> None:
        """Have the model answer, within what the attempt may still spend.

        Raises DeadlineExceeded, and what TakeTurn's `generate` raises.
        """
        attempt = await self._get(attempt_id)
        generation = self._take_turn.generation(attempt)
        try:
            async with self._take_turn.time_for_models(attempt):
                generated = await self._take_turn.generate_by(attempt, generation)
        except Exception:
            # What it raises is worth more than this.
            with contextlib.suppress(PortFailure):
                await self._save(attempt, generation.broken_off(attempt))
            raise
        await self._save(attempt, generated)

    async def record(self, attempt_id: AttemptId) -> None:
        """Store the reply and complete the turn. Raises TurnWithoutReply, VersionConflict."""
        await self._end(attempt_id, self._take_turn.record, TurnStatus.COMPLETED)

    async def fail(self, attempt_id: AttemptId, kind: type[BaseException]) -> None:
        """End the turn in failure of an error of this class. Raises VersionConflict."""

        async def fail(attempt: Attempt) -> Turn:
            return await self._take_turn.fail_of(attempt, kind)

        await self._end(attempt_id, fail, TurnStatus.FAILED)

    async def _end(
        self, attempt_id: AttemptId, end: Callable[[Attempt], Awaitable[Turn]], ended: TurnStatus
    ) -> None:
        try:
            attempt = await self._get(attempt_id, history=1)
        except StaleAttempt:
            turn = await self._reader.get_turn(attempt_id.tenant_id, attempt_id.turn_id)
            if (turn.status, turn.attempt) != (ended, attempt_id.number):
                raise
        else:
            await end(attempt)

    async def _get(self, attempt_id: AttemptId, *, history: int | None = None) -> Attempt:
        return await self._attempts.get(
            attempt_id.tenant_id,
            attempt_id.turn_id,
            attempt_id.number,
            history=history or self._policy.history_messages,
        )

    async def _save(self, before: Attempt, after: Attempt) -> None:
        """Keep what was found out, if it was by this step."""
        if after is not before:
            async with storing_by(after.deadline, self._clock):
                await self._attempts.save(after)
