"""PROSA_TURN_RUNNER says where turns run."""

import pytest

from prosa.application.accept_turn import CustomerMessage
from prosa.application.ports.message_queue import ReceivedMessage
from prosa.application.ports.turn_runner import TurnNotStarted
from prosa.bootstrap import bootstrap
from prosa.domain.errors import ConfigurationError
from prosa.domain.identifiers import DEFAULT_TENANT
from prosa.domain.turn import TurnStatus
from prosa.entrypoints.consuming import consume_messages_of
from prosa.settings import Settings
from tests.aws import aws_error, operation, running_stub
from tests.channels import pushed

MACHINE = "arn:aws:states:eu-west-1:123456789012:stateMachine:take_turn"


@pytest.mark.parametrize(
    "written", ["", "step_functions", "step_functions:", "step_functions:take_turn", MACHINE, "x"]
)
def test_what_names_no_runner_is_refused(written: str) -> None:
    with pytest.raises(ConfigurationError, match=r"PROSA_TURN_RUNNER is .*; write inline, or"):
        Settings(turn_runner=written)


async def test_turns_run_in_the_process_unless_it_is_set(sqlite_url: str) -> None:
    settings = Settings.model_validate({"database_url": sqlite_url, "models": "scripted"})
    async with bootstrap(settings) as app:
        assert app.run_elsewhere is None


async def test_turns_are_started_in_the_machine_that_is_named(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings.model_validate(
        {
            "database_url": sqlite_url,
            "models": "scripted",
            "turn_runner": f"step_functions:{MACHINE}",
        }
    )
    async with running_stub(monkeypatch) as stub, bootstrap(settings) as app:
        stub.will(aws_error(400, "StateMachineDoesNotExist"))
        accepted = await app.take_turn.accept(CustomerMessage(text="Oi"))
        assert accepted.attempt is not None
        assert app.run_elsewhere is not None
        with pytest.raises(TurnNotStarted, match=MACHINE):
            await app.run_elsewhere(accepted.attempt)

        assert [operation(received) for received in stub.requests] == ["StartExecution"]
        assert stub.requests[0].body["stateMachineArn"] == MACHINE
        turn = await app.conversations.get_turn(DEFAULT_TENANT, accepted.turn.id)
        assert turn.status is TurnStatus.FAILED


async def test_turns_of_channels_are_started_there_as_well(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(
        database_url=sqlite_url, models="scripted", turn_runner=f"step_functions:{MACHINE}"
    )
    message = ReceivedMessage(id="1", group="1", body=pushed(), receives=1, receipt="1")
    async with running_stub(monkeypatch) as stub, bootstrap(settings) as app:
        stub.will(aws_error(400, "StateMachineDoesNotExist"))
        left = await consume_messages_of(app)([message])
        assert [one.message for one in left] == [message]
        assert [operation(received) for received in stub.requests] == ["StartExecution"]
