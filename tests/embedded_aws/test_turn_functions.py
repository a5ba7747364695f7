"""The state machine takes a turn, and tells of it, with functions of the same process."""

import asyncio
from pathlib import Path

import pytest

from embedded_aws.state_machine import ARN
from embedded_aws.turn_functions import turn_functions
from prosa.application.accept_turn import CustomerMessage
from prosa.bootstrap import bootstrap
from prosa.domain.identifiers import DEFAULT_TENANT
from prosa.domain.turn import TurnStatus

# moto's interpreter is many times slower where its every line is traced.
pytestmark = pytest.mark.no_cover

SECONDS = 30
COMPLETED = '"conversation.turn.completed.v1"'


@pytest.mark.usefixtures("aws")
async def test_a_turn_is_taken_and_told_by_the_machine(
    moto_address: str,
    sqlite_url: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO", logger="prosa.events")
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "PROSA_DATABASE_URL": sqlite_url,
        "PROSA_MODELS": "scripted",
        "PROSA_TURN_RUNNER": f"step_functions:{ARN}",
    }.items():
        monkeypatch.setenv(name, value)
    # Nobody does this app's chores: only the machine relays.
    async with turn_functions(moto_address), bootstrap() as app:
        taken = await app.take_turn.accept(CustomerMessage(text="Cadê?"))
        assert taken.attempt
        assert app.run_elsewhere
        await app.run_elsewhere(taken.attempt)
        async with asyncio.timeout(SECONDS):
            while COMPLETED not in caplog.text:  # noqa: ASYNC110 - a log has no event
                await asyncio.sleep(0.05)
        turn = await app.conversations.get_turn(DEFAULT_TENANT, taken.turn.id)
    assert turn.status is TurnStatus.COMPLETED
