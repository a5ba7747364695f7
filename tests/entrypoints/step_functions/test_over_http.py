"""The HTTP API whose turns run in the state machine, as moto executes it."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from prosa.adapters.in_memory.attempt_store import InMemoryAttemptStore
from prosa.adapters.in_memory.language_model import ScriptedLanguageModel
from prosa.adapters.step_functions.turn_runner import StepFunctionsTurnRunner
from prosa.application.ports.language_model import ModelUnavailable
from prosa.application.run_elsewhere import RunElsewhere
from tests.entrypoints.http.serving import (
    LATER,
    STREAM,
    InMemoryParts,
    events_in,
    parts_with,
    problem_in,
    served,
    turn_in,
)
from tests.entrypoints.step_functions.machine import Functions, running_machine

BODY = {"text": "Cadê?"}


@pytest.fixture
def model() -> ScriptedLanguageModel:
    return ScriptedLanguageModel(default="Saiu hoje. Chega amanhã.")


@pytest.fixture
def parts(aws: None, moto_address: str, model: ScriptedLanguageModel) -> Iterator[InMemoryParts]:
    assert aws is None
    parts = parts_with(model)
    with running_machine(moto_address, Functions(steps=parts.steps)) as machine:
        runner = StepFunctionsTurnRunner(machine.arn)
        run_elsewhere = RunElsewhere(
            runner=runner,
            attempts=InMemoryAttemptStore(parts.storage),
            take_turn=parts.take_turn,
        )
        yield replace(parts, run_elsewhere=run_elsewhere)
        runner.close()


async def test_a_caller_who_waits_streams_or_comes_back_later_is_answered(
    parts: InMemoryParts,
) -> None:
    async with served(parts) as client:
        plain = turn_in(await client.post("/v1/messages", json=BODY))
        assert plain.reply is not None
        assert plain.reply.text == "Saiu hoje. Chega amanhã."

        streamed = await client.post("/v1/messages", json=BODY, headers=STREAM)
        names = ["turn.started", "turn.delta", "turn.delta", "turn.completed"]
        assert [event.name for event in events_in(streamed.text)] == names

        later = await client.post("/v1/messages", json=BODY, headers=LATER)
        assert later.status_code == 202
        followed = await client.get(f"{later.headers['location']}/events")
        assert [event.name for event in events_in(followed.text)] == names


async def test_a_failed_turn_is_told_and_the_same_key_is_the_next_execution(
    parts: InMemoryParts, model: ScriptedLanguageModel
) -> None:
    model.script.append(ModelUnavailable("down"))
    key = {"Idempotency-Key": "k"}
    async with served(parts) as client:
        failed = await client.post("/v1/messages", json=BODY, headers=key)
        assert failed.status_code == 503
        assert problem_in(failed)["code"] == "model_unavailable"
        again = turn_in(await client.post("/v1/messages", json=BODY, headers=key))
    assert (again.id, again.attempt) == (problem_in(failed)["turn_id"], 2)
    assert again.status == "completed"
