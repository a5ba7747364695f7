"""The function that consumes what channels push, under the real runtime."""

import json
import sqlite3
import subprocess
import sys
from collections.abc import Sequence
from contextlib import closing
from pathlib import Path

import pytest

from embedded_aws.moto_server import REGION
from tests.channels import pushed
from tests.entrypoints.aws_lambda.events import queue_event
from tests.entrypoints.aws_lambda.test_schedules import NOT_NEEDED
from tests.lambda_runtime import ROOT, lambda_function
from tests.sqs import a_queue, waiting

CONSUME = "prosa.entrypoints.aws_lambda.consume_messages"
NOTHING_FAILED: dict[str, list[object]] = {"batchItemFailures": []}


def failed(*numbers: int) -> dict[str, list[dict[str, str]]]:
    """Name messages as failed, as Lambda reads it."""
    return {"batchItemFailures": [{"itemIdentifier": f"message-{number}"} for number in numbers]}


def statuses(folder: Path) -> list[str]:
    """Tell how each turn stands, in the order that they came."""
    with closing(sqlite3.connect(folder / "prosa.db")) as database:
        return [status for (status,) in database.execute("select status from turns order by id")]


def test_messages_are_taken_each_time_and_one_that_comes_again_has_no_second_effect(
    tmp_path: Path,
) -> None:
    with lambda_function(CONSUME, {"PROSA_MODELS": "scripted"}, tmp_path) as function:
        first = queue_event(pushed("a", key="a"), pushed("b", key="b"))
        for _ in range(2):
            assert function.invoke(first) == NOTHING_FAILED
        assert statuses(tmp_path) == ["completed", "completed"]
        assert function.invoke(queue_event(pushed("c", key="c"))) == NOTHING_FAILED
        assert len(statuses(tmp_path)) == 3
        assert function.starts == 1


def test_of_a_batch_only_what_was_refused_is_named_and_the_log_says_why(tmp_path: Path) -> None:
    with lambda_function(CONSUME, {"PROSA_MODELS": "scripted"}, tmp_path) as function:
        batch = queue_event(pushed("a", key="a"), '{"text": "oi"}', pushed("b", key="b"))
        assert function.invoke(batch) == failed(1)
        assert statuses(tmp_path) == ["completed", "completed"]
        assert "message message-1, received 1 time, is refused" in function.log
        assert "data is required" in function.log


def test_a_group_stops_at_a_failure_that_may_pass(tmp_path: Path) -> None:
    variables = {"PROSA_MODELS": "openai:gone", "PROSA_OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
    with lambda_function(CONSUME, variables, tmp_path) as function:
        batch = queue_event(pushed("a", key="a"), pushed("b", key="b"))
        assert function.invoke(batch) == failed(0, 1)
        assert statuses(tmp_path) == ["failed"]


def test_when_the_time_is_up_turns_that_run_have_failed_and_the_messages_come_again(
    silent: str, tmp_path: Path
) -> None:
    variables = {"PROSA_MODELS": "openai:silent", "PROSA_OPENAI_BASE_URL": silent}
    with lambda_function(CONSUME, variables, tmp_path, timeout_seconds=5.5) as function:
        batch = queue_event(pushed("a", key="a"), pushed("b", key="b"))
        assert function.invoke(batch) == failed(0, 1)
        assert statuses(tmp_path) == ["failed"]
        assert "the time is up" in function.log
        assert function.starts == 1


@pytest.mark.usefixtures("aws")
def test_replies_go_to_their_queue_once(moto_address: str, tmp_path: Path) -> None:
    replies = a_queue("replies")
    variables = {
        "PROSA_MODELS": "scripted",
        "PROSA_REPLY_QUEUE": replies,
        "AWS_ENDPOINT_URL": moto_address,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": REGION,
    }
    with lambda_function(CONSUME, variables, tmp_path) as function:
        for _ in range(2):
            assert function.invoke(queue_event(pushed())) == NOTHING_FAILED
    (reply,) = waiting(replies)
    assert json.loads(reply["Body"])["data"]["customer_id"] == "customer-7"


def loaded(names: Sequence[str], folder: Path) -> str:
    """Open the handler, and name those of the packages that it loaded."""
    found = f"sorted({set(names)} & sys.modules.keys())"
    code = f"import sys, {CONSUME}; {CONSUME}.handler; print(*{found})"
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=folder,
        env={"PYTHONPATH": str(ROOT), "PROSA_MODELS": "scripted"},
        capture_output=True,
        text=True,
        check=True,
    )
    return done.stdout.strip()


def test_it_loads_nothing_that_it_does_not_need(tmp_path: Path) -> None:
    # Alembic makes the new SQLite file.
    names = [name for name in NOT_NEEDED.split() if name != "alembic"]
    assert loaded(names, tmp_path) == ""
