"""Row 33: a task of the state machine that comes again has no second effect."""

from collections.abc import Iterator
from functools import partial

import pytest

from prosa.adapters.sql.attempt_store import SqlAttemptStore
from prosa.adapters.sql.conversation_reader import SqlConversationReader
from prosa.adapters.sql.database import Database
from prosa.adapters.sql.unit_of_work import SqlUnitOfWork
from prosa.application.ports.language_model import ModelUnavailable
from prosa.application.ports.turn_runner import AttemptId
from prosa.application.turn_steps import TurnSteps
from prosa.domain.errors import StaleAttempt
from prosa.domain.turn import TurnStatus
from prosa.testing.builders import a_tenant
from tests.application.service import KEY, TENANT, Service, a_message
from tests.entrypoints.step_functions.journeys import accepted, taken
from tests.entrypoints.step_functions.machine import Functions, Machine, running_machine

REPEATED = {
    "classify": "Lambda.ServiceException",
    "generate": "Lambda.SdkClientException",
    "record": "Sandbox.Timedout",
}
"""Each task of a turn, and what is heard of it in the place of its success."""


@pytest.fixture
def service() -> Service:
    return Service("Claro!", always="Outra coisa.")


@pytest.fixture
def machine(aws: None, moto_address: str, service: Service) -> Iterator[Machine]:
    assert aws is None
    with running_machine(moto_address, Functions(steps=service.steps)) as machine:
        yield machine


async def test_tasks_whose_success_was_not_heard_of_are_repeated_and_have_one_effect(
    service: Service, machine: Machine
) -> None:
    attempt = await accepted(service)
    for function, error in REPEATED.items():
        machine.functions.after[attempt.turn_id, function].append(error)
    turn, execution = await taken(service, machine, attempt)

    for function in REPEATED:
        assert machine.functions.invoked[turn.id].count(function) == 2
    assert execution.status == "SUCCEEDED"
    assert turn.status is TurnStatus.COMPLETED
    assert service.texts(turn.conversation_id)[1:] == ["Claro!"]
    assert len(service.classifier.requests) == len(service.model.requests) == 1
    assert service.event_names() == ["ConversationStarted", "TurnStarted", "TurnCompleted"]


async def test_a_failure_that_was_not_heard_of_is_repeated_and_counts_once(
    service: Service, machine: Machine
) -> None:
    attempt = await accepted(service)
    machine.functions.before[attempt.turn_id, "generate"].append(ModelUnavailable("down"))
    machine.functions.after[attempt.turn_id, "fail"].append("Lambda.Unknown")
    turn, execution = await taken(service, machine, attempt)

    assert machine.functions.invoked[turn.id].count("fail") == 2
    assert execution.error == "ModelUnavailable"
    assert turn.failures == 1
    assert service.event_names()[2:] == ["TurnFailed"]


async def test_a_record_that_comes_after_the_next_attempt_began_is_discarded(
    service: Service,
) -> None:
    first = await service.accept(a_message(key=KEY))
    old = AttemptId(tenant_id=TENANT, turn_id=first.turn.id, number=1)
    await service.steps.generate(old)
    service.clock.advance(60)
    await service.accept(a_message(key=KEY))

    with pytest.raises(StaleAttempt):
        await service.steps.record(old)
    with pytest.raises(StaleAttempt):
        await service.steps.fail(old, ModelUnavailable)
    turn = await service.reader.get_turn(TENANT, first.turn.id)
    assert (turn.status, turn.attempt) == (TurnStatus.RUNNING, 2)


async def test_in_sqlite_every_step_may_come_again(sqlite: Database) -> None:
    await require_one_effect(sqlite)


async def test_in_postgres_every_step_may_come_again(postgres: Database) -> None:
    await require_one_effect(postgres)


async def require_one_effect(database: Database) -> None:
    """Take a turn in a database, each step twice."""
    service = Service("Claro!", always="Outra coisa.")
    reader = SqlConversationReader(database)
    take_turn = service.take_turn
    for part in (take_turn, take_turn.accept):
        part._units_of_work = partial(SqlUnitOfWork, database)
        part._reader = reader
    steps = TurnSteps(
        take_turn=take_turn,
        attempts=SqlAttemptStore(database),
        reader=reader,
        policy=service.policy,
        clock=service.clock,
    )
    tenant_id = a_tenant()
    claimed = (await take_turn.accept(a_message(tenant_id=tenant_id))).turn
    attempt = AttemptId(tenant_id=tenant_id, turn_id=claimed.id, number=1)
    for step in (steps.classify, steps.generate, steps.record):
        await step(attempt)
        await step(attempt)

    turn = await reader.get_turn(tenant_id, claimed.id)
    assert turn.reply is not None
    assert turn.reply.text == "Claro!"
    assert turn.reply.sequence == 2
    assert len(service.model.requests) == 1
