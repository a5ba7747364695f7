"""The function that consumes messages which other services put on the bus, under the runtime."""

import json
from pathlib import Path

import pytest

from embedded_aws.moto_server import sdk_variables
from prosa.domain.turn import TurnOutcome
from prosa.entrypoints.aws_lambda.consume_events import (
    NotConsumedError,
    consume_within,
    message_of,
)
from prosa.entrypoints.consuming import ConsumeMessages
from tests.channels import pushed
from tests.entrypoints.aws_lambda.events import bus_event, queue_event
from tests.entrypoints.aws_lambda.test_consume_messages import CONSUME as CONSUME_MESSAGES
from tests.entrypoints.aws_lambda.test_consume_messages import NOTHING_FAILED, statuses
from tests.lambda_runtime import FunctionError, lambda_function
from tests.sqs import a_queue, waiting

CONSUME = "prosa.entrypoints.aws_lambda.consume_events"
SCRIPTED = {"PROSA_MODELS": "scripted"}
NOBODY = {"PROSA_MODELS": "openai:gone", "PROSA_OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
SECRET = "meu cartão é 4111"  # noqa: S105 - no password, but what nobody may repeat


def test_an_event_takes_its_turn_cold_and_warm_and_comes_twice_without_a_second_effect(
    tmp_path: Path,
) -> None:
    with lambda_function(CONSUME, SCRIPTED, tmp_path) as function:
        for key in ("a", "a", "b"):
            assert function.invoke(bus_event(pushed(key=key))) == {"consumed": True}
        assert statuses(tmp_path) == ["completed", "completed"]
        assert function.starts == 1


def test_a_message_that_comes_by_the_bus_and_by_the_queue_is_taken_once(tmp_path: Path) -> None:
    with (
        lambda_function(CONSUME, SCRIPTED, tmp_path) as by_bus,
        lambda_function(CONSUME_MESSAGES, SCRIPTED, tmp_path) as by_queue,
    ):
        assert by_bus.invoke(bus_event(pushed())) == {"consumed": True}
        assert by_queue.invoke(queue_event(pushed())) == NOTHING_FAILED
        assert statuses(tmp_path) == ["completed"]


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (bus_event(pushed(data={"text": ""})), "data.text must not be empty"),
        (bus_event(pushed(conversation="conv_" + "0" * 32)), "conv_"),
        (bus_event(json.dumps({"text": SECRET})), "data is required"),
        ({"source": "aws.events", "detail-type": "Scheduled Event"}, "the body must be an object"),
    ],
)
def test_what_will_never_pass_is_told_in_the_log_and_not_tried_again(
    event: dict[str, object], reason: str, tmp_path: Path
) -> None:
    with lambda_function(CONSUME, SCRIPTED, tmp_path) as function:
        assert function.invoke(event) == {"consumed": False}
        assert "is refused, and not tried again" in function.log
        assert reason in function.log
        assert SECRET not in function.log
        assert function.invoke(bus_event(pushed())) == {"consumed": True}


def test_what_may_pass_is_an_error_and_the_event_has_its_effect_when_it_comes_again(
    tmp_path: Path,
) -> None:
    event = bus_event(pushed())
    with lambda_function(CONSUME, NOBODY, tmp_path) as function:
        for _ in range(2):
            with pytest.raises(FunctionError, match="the connection to openai:gone failed") as told:
                function.invoke(event)
            assert told.value.type == "NotConsumedError"
        assert function.starts == 1
    assert statuses(tmp_path) == ["failed"]
    with lambda_function(CONSUME, SCRIPTED, tmp_path) as function:
        assert function.invoke(event) == {"consumed": True}
    assert statuses(tmp_path) == ["completed"]


def test_when_the_time_is_up_its_turn_has_failed_and_the_next_event_is_taken(
    silent: str, tmp_path: Path
) -> None:
    variables = {"PROSA_MODELS": "openai:silent", "PROSA_OPENAI_BASE_URL": silent}
    with lambda_function(CONSUME, variables, tmp_path, timeout_seconds=5.0) as function:
        for key in ("a", "b"):
            with pytest.raises(FunctionError, match="the time is up"):
                function.invoke(bus_event(pushed(key=key)))
        assert function.starts == 1
    assert statuses(tmp_path) == ["failed", "failed"]


@pytest.mark.usefixtures("aws")
def test_its_reply_goes_to_the_queue_once(moto_address: str, tmp_path: Path) -> None:
    replies = a_queue("replies")
    variables = {**SCRIPTED, **sdk_variables(moto_address), "PROSA_REPLY_QUEUE": replies}
    with lambda_function(CONSUME, variables, tmp_path) as function:
        for _ in range(2):
            assert function.invoke(bus_event(pushed())) == {"consumed": True}
    (reply,) = waiting(replies)
    assert json.loads(reply["Body"])["data"]["customer_id"] == "customer-7"


async def test_what_is_no_error_of_ours_is_told_by_its_class_alone() -> None:
    async def quote(_: object) -> TurnOutcome:
        raise KeyError(SECRET)

    with pytest.raises(NotConsumedError, match=r"^KeyError$"):
        await consume_within(ConsumeMessages(quote), message_of(bus_event(pushed())), seconds=5.0)
