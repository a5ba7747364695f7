"""The functions of the machine under Lambda's own runtime, each in a process of its own."""

import asyncio
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from prosa.application.accept_turn import CustomerMessage
from prosa.bootstrap import bootstrap
from prosa.domain.turn import Turn, TurnStatus
from prosa.entrypoints.step_functions import take_turn
from prosa.settings import Settings
from tests.lambda_runtime import FunctionError, LambdaFunction, lambda_function

MODULE = take_turn.__name__


@pytest.fixture
def settings(sqlite_url: str) -> Settings:
    return Settings.model_validate({"database_url": sqlite_url, "models": "scripted"})


def claimed(settings: Settings) -> Turn:
    """Claim a turn, as the door does."""

    async def claim() -> Turn:
        async with bootstrap(settings) as app:
            return (await app.take_turn.accept(CustomerMessage(text="Cadê?"))).turn

    return asyncio.run(claim())


def read(settings: Settings, turn: Turn) -> Turn:
    """Read a turn."""

    async def get() -> Turn:
        async with bootstrap(settings) as app:
            return await app.conversations.get_turn(event_of(turn)["tenant_id"], turn.id)

    return asyncio.run(get())


def event_of(turn: Turn) -> dict[str, Any]:
    """Write the state of the machine."""
    return {"tenant_id": "default", "turn_id": turn.id, "attempt": turn.attempt}


def test_one_function_a_task_takes_turns_cold_and_warm(settings: Settings, tmp_path: Path) -> None:
    variables = {"PROSA_DATABASE_URL": settings.database_url, "PROSA_MODELS": "scripted"}
    with ExitStack() as stack:
        functions: list[LambdaFunction] = [
            stack.enter_context(lambda_function(MODULE, variables, tmp_path, handler=name))
            for name in ("classify", "generate", "record", "publish")
        ]
        for _ in range(2):
            turn = claimed(settings)
            for function in functions:
                assert function.invoke(event_of(turn)) is None
            taken = read(settings, turn)
            assert taken.status is TurnStatus.COMPLETED
            assert taken.reply is not None
        assert [function.starts for function in functions] == [1, 1, 1, 1]


def test_an_error_is_reported_by_its_class_and_a_turn_fails_of_it(
    settings: Settings, tmp_path: Path
) -> None:
    variables = {"PROSA_DATABASE_URL": settings.database_url, "PROSA_MODELS": "scripted"}
    turn = claimed(settings)
    with lambda_function(MODULE, variables, tmp_path, handler="record") as record:
        with pytest.raises(FunctionError) as told:
            record.invoke(event_of(turn))
        assert told.value.type == "TurnWithoutReply"
        with pytest.raises(FunctionError) as told:
            record.invoke({**event_of(turn), "attempt": 2})
        assert told.value.type == "StaleAttempt"
    with lambda_function(MODULE, variables, tmp_path, handler="fail") as fail:
        fail.invoke({**event_of(turn), "error": "ModelUnavailable"})

    failed = read(settings, turn)
    assert failed.error is not None
    assert failed.error.code == "model_unavailable"


def test_there_is_no_other_function() -> None:
    with pytest.raises(AttributeError, match="classify, generate, record, fail, publish"):
        take_turn.handler  # noqa: B018 - asking is the test
