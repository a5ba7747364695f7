"""The functions that a schedule starts: the relay, and the sweep for crashed turns."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from embedded_aws.moto_server import REGION
from prosa.application.accept_turn import CustomerMessage
from prosa.bootstrap import bootstrap
from prosa.settings import Settings
from tests.entrypoints.cli.test_recover import NOWHERE, leave_behind, statuses
from tests.lambda_runtime import ROOT, FunctionError, lambda_function

RELAY = "prosa.entrypoints.aws_lambda.relay_outbox"
RECOVER = "prosa.entrypoints.aws_lambda.recover_turns"
NOT_NEEDED = "fastapi starlette mangum uvicorn alembic openai botocore opentelemetry jwt"
NONE_RELAYED = {"published": 0, "failed": 0, "parked": 0}
EVENT = {"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}


async def leave_events(database_url: str, messages: int) -> None:
    """Take turns and relay none of their events: three each."""
    async with bootstrap(Settings(models="scripted", database_url=database_url)) as app:
        for _ in range(messages):
            await app.take_turn(CustomerMessage(text="Oi"))


def test_the_relay_publishes_what_is_due_each_time_that_it_is_started(
    sqlite_url: str, tmp_path: Path
) -> None:
    with lambda_function(RELAY, {"PROSA_DATABASE_URL": sqlite_url}, tmp_path) as relay:
        for messages in (2, 1):
            asyncio.run(leave_events(sqlite_url, messages))
            assert relay.invoke(EVENT) == {**NONE_RELAYED, "published": 3 * messages}
        assert relay.invoke(EVENT) == NONE_RELAYED
        assert relay.starts == 1
        assert relay.log.count('"type":"conversation.turn.completed.v1"') == 3


def test_on_postgres_the_relay_works_time_and_again(postgres_url: str, tmp_path: Path) -> None:
    with lambda_function(RELAY, {"PROSA_DATABASE_URL": postgres_url}, tmp_path) as relay:
        for _ in range(2):
            asyncio.run(leave_events(postgres_url, 1))
            # Other tests' events are there, too.
            assert relay.invoke(EVENT)["published"] >= 3
        assert relay.starts == 1


def test_the_relay_that_cannot_reach_its_database_is_an_error_that_alarms(tmp_path: Path) -> None:
    with lambda_function(RELAY, {"PROSA_DATABASE_URL": NOWHERE}, tmp_path) as relay:
        for _ in range(2):
            with pytest.raises(FunctionError) as told:
                relay.invoke(EVENT)
            assert told.value.type == "StorageUnavailable"
        assert relay.starts == 1


def test_the_relay_leaves_to_the_next_one_what_it_has_no_time_for(
    sqlite_url: str, silent: str, tmp_path: Path
) -> None:
    asyncio.run(leave_events(sqlite_url, 1))
    variables = {
        "PROSA_DATABASE_URL": sqlite_url,
        "PROSA_EVENT_BUS": "eventbridge",
        "AWS_ENDPOINT_URL": silent,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": REGION,
    }
    with lambda_function(RELAY, variables, tmp_path, timeout_seconds=3) as relay:
        assert relay.invoke(EVENT) == NONE_RELAYED
        assert "the time is up" in relay.log


def test_the_sweep_sees_to_what_crashed_functions_have_left_behind(tmp_path: Path) -> None:
    messages = CustomerMessage(text="Oi?"), CustomerMessage(text="Olá?", caller_waits=False)
    asyncio.run(leave_behind(tmp_path, *messages))
    with lambda_function(RECOVER, {"PROSA_MODELS": "scripted"}, tmp_path) as recover:
        assert recover.invoke(EVENT) == {"run_again": 1, "failed": 1, "failed_again": 0}
        assert statuses(tmp_path) == [("failed", 1), ("completed", 2)]
        assert recover.invoke(EVENT) == {"run_again": 0, "failed": 0, "failed_again": 0}
        assert recover.starts == 1


def test_the_sweep_fails_the_turns_that_run_when_its_time_is_up(
    silent: str, tmp_path: Path
) -> None:
    asyncio.run(leave_behind(tmp_path, CustomerMessage(text="Olá?", caller_waits=False)))
    variables = {"PROSA_MODELS": "openai:silent", "PROSA_OPENAI_BASE_URL": silent}
    with lambda_function(RECOVER, variables, tmp_path, timeout_seconds=5.5) as recover:
        assert recover.invoke(EVENT) == {"run_again": 1, "failed": 0, "failed_again": 1}
        assert statuses(tmp_path) == [("failed", 2)]


def loaded_of(names: str, module: str, folder: Path, database_url: str) -> str:
    """Open a handler in a process of its own, and name those of the packages that it loaded."""
    code = (
        f"import sys, {module}; {module}.handler; "
        f"print(*sorted(set({names.split()}) & sys.modules.keys()))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={
            "PYTHONPATH": str(ROOT),
            "PROSA_DATABASE_URL": database_url,
            "PROSA_MODELS": "scripted",
        },
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


@pytest.mark.parametrize(
    ("module", "not_needed"),
    [
        (RELAY, f"{NOT_NEEDED} tenacity prosa.bootstrap.app prosa.application.take_turn"),
        (RECOVER, NOT_NEEDED),
    ],
)
def test_a_function_loads_nothing_that_it_does_not_need(
    module: str, not_needed: str, sqlite_url: str, tmp_path: Path
) -> None:
    assert loaded_of(not_needed, module, tmp_path, sqlite_url) == ""


@pytest.mark.parametrize("module", [RELAY, RECOVER])
def test_on_postgres_a_function_loads_no_sqlalchemy(
    module: str, postgres_url: str, tmp_path: Path
) -> None:
    assert loaded_of("sqlalchemy asyncpg", module, tmp_path, postgres_url) == "asyncpg"


def test_an_import_alone_opens_nothing(tmp_path: Path) -> None:
    code = "import prosa.entrypoints.aws_lambda.http"
    subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), "PROSA_MODELS": "wrong"},
        check=True,
    )
    assert [*tmp_path.iterdir()] == []
