"""What every turn runner promises."""

from abc import abstractmethod

import pytest

from prosa.application.ports.turn_runner import AttemptId, TurnNotStarted, TurnRunner
from prosa.domain.identifiers import TenantId, TurnId

ATTEMPT = AttemptId(tenant_id=TenantId("acme"), turn_id=TurnId("turn_" + "1" * 32), number=1)
NEXT = AttemptId(tenant_id=ATTEMPT.tenant_id, turn_id=ATTEMPT.turn_id, number=2)


class TurnRunnerContract:
    """Subclass it with the fixtures `runner` and `broken`, which starts nothing, and `started`."""

    @abstractmethod
    async def started(self, runner: TurnRunner) -> list[AttemptId]:
        """List what was started, each as often as it was, in any order."""

    async def test_an_attempt_is_started_by_its_identifiers(self, runner: TurnRunner) -> None:
        await runner.start(ATTEMPT)
        assert await self.started(runner) == [ATTEMPT]

    async def test_an_attempt_that_is_started_again_runs_once(self, runner: TurnRunner) -> None:
        await runner.start(ATTEMPT)
        await runner.start(ATTEMPT)
        assert await self.started(runner) == [ATTEMPT]

    async def test_each_attempt_at_a_turn_is_started_for_itself(self, runner: TurnRunner) -> None:
        await runner.start(ATTEMPT)
        await runner.start(NEXT)
        found = await self.started(runner)
        assert sorted(found, key=lambda attempt: attempt.number) == [ATTEMPT, NEXT]

    async def test_one_that_works_is_found_to(self, runner: TurnRunner) -> None:
        await runner.check()
        assert await self.started(runner) == []

    async def test_what_is_not_started_is_told(self, broken: TurnRunner) -> None:
        with pytest.raises(TurnNotStarted):
            await broken.start(ATTEMPT)
