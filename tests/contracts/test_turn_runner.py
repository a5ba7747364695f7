"""Every turn runner keeps the contract."""

import json
from collections.abc import Iterator

import pytest

from embedded_aws.moto_server import own_client
from prosa.adapters.in_memory.turn_runner import InMemoryTurnRunner
from prosa.adapters.step_functions.turn_runner import StepFunctionsTurnRunner
from prosa.application.ports.turn_runner import AttemptId, TurnNotStarted, TurnRunner
from prosa.domain.identifiers import TenantId, TurnId
from prosa.testing.turn_runner_contract import TurnRunnerContract
from tests.application.service import Service

ROLE = "arn:aws:iam::123456789012:role/take_turn"
NOTHING = '{"StartAt": "Done", "States": {"Done": {"Type": "Succeed"}}}'


class TestInMemory(TurnRunnerContract):
    @pytest.fixture
    async def runner(self) -> TurnRunner:
        return InMemoryTurnRunner(Service().steps)

    @pytest.fixture
    def broken(self) -> TurnRunner:
        return InMemoryTurnRunner(Service().steps, [TurnNotStarted("away")])

    async def started(self, runner: TurnRunner) -> list[AttemptId]:
        assert isinstance(runner, InMemoryTurnRunner)
        for task in runner.started.values():
            task.cancel()
        return list(runner.started)


class TestStepFunctions(TurnRunnerContract):
    @pytest.fixture
    def machine(self, aws: None) -> str:
        assert aws is None
        with own_client("stepfunctions") as client:
            made = client.create_state_machine(name="turns", definition=NOTHING, roleArn=ROLE)
        arn: str = made["stateMachineArn"]
        return arn

    @pytest.fixture
    def runner(self, machine: str) -> Iterator[TurnRunner]:
        runner = StepFunctionsTurnRunner(machine)
        yield runner
        runner.close()

    @pytest.fixture
    def broken(self, machine: str) -> Iterator[TurnRunner]:
        runner = StepFunctionsTurnRunner(f"{machine}-of-nobody")
        yield runner
        runner.close()

    async def started(self, runner: TurnRunner) -> list[AttemptId]:
        assert isinstance(runner, StepFunctionsTurnRunner)
        with own_client("stepfunctions") as client:
            found = client.list_executions(stateMachineArn=runner._state_machine)["executions"]
            described = [
                client.describe_execution(executionArn=one["executionArn"]) for one in found
            ]
        return [_attempt_of(json.loads(one["input"]), one["name"]) for one in described]


def _attempt_of(given: dict[str, object], name: str) -> AttemptId:
    number = given.pop("attempt")
    assert isinstance(number, int)
    turn_id, tenant_id = TurnId(str(given.pop("turn_id"))), TenantId(str(given.pop("tenant_id")))
    assert not given
    assert name == f"{turn_id}-{number}"
    return AttemptId(tenant_id=tenant_id, turn_id=turn_id, number=number)
