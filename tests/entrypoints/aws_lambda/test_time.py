"""How the HTTP API's function keeps to the time that its invocation has."""

import sqlite3
import time
from contextlib import closing
from pathlib import Path

from embedded_aws.moto_server import REGION
from tests.entrypoints.aws_lambda.conftest import HTTP
from tests.entrypoints.aws_lambda.gateway import Request, answer_from, get, http_api_event, post
from tests.lambda_runtime import lambda_function

TIMEOUT_SECONDS = 3.0
"""The function's own: of these, two are kept."""

RUNNING = "select id from turns where status = 'running'"


def test_a_model_that_says_nothing_is_not_waited_for_until_lambda_ends_the_function(
    silent: str, tmp_path: Path
) -> None:
    variables = {"PROSA_MODELS": "openai:silent", "PROSA_OPENAI_BASE_URL": silent}
    with lambda_function(HTTP, variables, tmp_path, TIMEOUT_SECONDS) as function:
        message = post("/v1/messages", "key", text="Oi")
        late = answer_from(function.invoke(http_api_event(message)))
        assert (late.status, late.view["code"]) == (504, "deadline_exceeded")
        turn = get(f"/v1/turns/{late.view['turn_id']}")
        warm = answer_from(function.invoke(http_api_event(turn)))
        assert warm.view["status"] == "failed"
        assert function.starts == 1


def test_a_client_that_waits_for_less_is_answered_sooner(silent: str, tmp_path: Path) -> None:
    variables = {"PROSA_MODELS": "openai:silent", "PROSA_OPENAI_BASE_URL": silent}
    with lambda_function(HTTP, variables, tmp_path) as function:
        impatient = Request(
            method="POST",
            path="/v1/messages",
            headers={"content-type": "application/json", "prefer": "wait=1"},
            body='{"text": "Oi"}',
        )
        assert answer_from(function.invoke(http_api_event(impatient))).status == 504


def test_a_bus_that_says_nothing_holds_no_answer(silent: str, tmp_path: Path) -> None:
    variables = {
        "PROSA_MODELS": "scripted",
        "PROSA_EVENT_BUS": "eventbridge",
        "AWS_ENDPOINT_URL": silent,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": REGION,
    }
    with lambda_function(HTTP, variables, tmp_path, TIMEOUT_SECONDS) as function:
        for key in ("first", "second"):
            message = post("/v1/messages", key, text="Oi")
            assert answer_from(function.invoke(http_api_event(message))).status == 200
        assert function.log.count("the schedule relays them") == 2


def running_turn(file: Path) -> str:
    """Wait until a turn runs, and name it."""
    with closing(sqlite3.connect(file)) as database:
        while not (found := database.execute(RUNNING).fetchone()):
            time.sleep(0.01)
    return str(found[0])


def test_a_turn_that_runs_elsewhere_is_followed_for_as_long_as_there_is_time(
    silent: str, tmp_path: Path
) -> None:
    variables = {"PROSA_MODELS": "openai:silent", "PROSA_OPENAI_BASE_URL": silent}
    with (
        lambda_function(HTTP, variables, tmp_path) as busy,
        lambda_function(HTTP, variables, tmp_path, 3.0) as following,
    ):
        busy.invoke(http_api_event(get("/healthz")))
        busy.begin(http_api_event(post("/v1/messages", "key", text="Oi")))
        turn_id = running_turn(tmp_path / "prosa.db")
        stream = following.invoke(http_api_event(get(f"/v1/turns/{turn_id}/events")))
        assert "event: turn.started" in stream["body"]
        assert "event: turn.failed" not in stream["body"]
        assert following.starts == 1
