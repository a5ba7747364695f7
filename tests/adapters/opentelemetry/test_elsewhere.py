"""Turns that run in a state machine: one trace leads from the request through the tasks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from embedded_aws.state_machine import ARN, Event, executing, make_state_machine
from prosa.adapters.event_format import TRACEPARENT
from prosa.adapters.in_memory.language_model import ScriptedLanguageModel
from prosa.adapters.opentelemetry.sampling import TraceBudget
from prosa.adapters.opentelemetry.spans import Tracing, context_of
from prosa.adapters.opentelemetry.turn_runner import TracedTurnRunner, doing_task
from prosa.application.ports.language_model import ModelRejectedRequest
from prosa.application.ports.turn_runner import AttemptId, TurnRunner
from prosa.bootstrap import bootstrap
from prosa.entrypoints.step_functions import tasks
from prosa.entrypoints.step_functions.take_turn import STEPS
from prosa.settings import Settings
from prosa.testing.turn_runner_contract import ATTEMPT
from tests.adapters.opentelemetry.allowed import strange_in
from tests.adapters.opentelemetry.seeing import (
    MESSAGES,
    Seen,
    SeenApp,
    attributes_of,
    ended,
    seen_app,
)

# moto's interpreter is many times slower where its every line is traced.
no_cover = pytest.mark.no_cover

PATIENCE_SECONDS = 90.0
"""Far more than moto takes: the machine that tests run on may be busy."""

REMOTE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7"
DOOR = f"POST {MESSAGES} > hand on"
TASKS = [
    f"{DOOR} > task classify",
    f"{DOOR} > task classify > load attempt",
    f"{DOOR} > task classify > classify",
    f"{DOOR} > task classify > save attempt",
    f"{DOOR} > task generate",
    f"{DOOR} > task generate > load attempt",
    f"{DOOR} > task generate > generate",
    f"{DOOR} > task generate > generate > chat scripted",
    f"{DOOR} > task generate > generate > screen",
    f"{DOOR} > task generate > save attempt",
    f"{DOOR} > task record",
    f"{DOOR} > task record > load attempt",
    f"{DOOR} > task record > record",
    f"{DOOR} > task record > record > connect",
    f"{DOOR} > task record > record > commit",
]


@asynccontextmanager
async def door_and_machine(
    settings: Settings, seen: Seen, model: ScriptedLanguageModel, moto_address: str
) -> AsyncIterator[SeenApp]:
    """Serve the door, and have the machine's functions done beside it; both are seen as one."""
    loop = asyncio.get_running_loop()
    settings = settings.model_copy(update={"deadline_seconds": PATIENCE_SECONDS})
    async with bootstrap(settings, model=model, telemetry=seen.telemetry) as app:

        def invoke(name: str, event: Event) -> None:
            if name in STEPS:
                doing = tasks.seen(getattr(tasks, name), app.turn_steps, event, app.telemetry)
                asyncio.run_coroutine_threadsafe(doing, loop).result(PATIENCE_SECONDS)

        with executing(moto_address, invoke):
            make_state_machine()
            door = settings.model_copy(update={"turn_runner": f"step_functions:{ARN}"})
            async with seen_app(door, seen, model) as served:
                yield served


@no_cover
@pytest.mark.usefixtures("aws")
async def test_one_trace_leads_from_the_request_through_every_task(
    settings: Settings, seen: Seen, moto_address: str
) -> None:
    model = ScriptedLanguageModel(default="Saiu hoje.")
    async with door_and_machine(settings, seen, model, moto_address) as served:
        answer = await served.say("Cadê o meu pedido?")
        await ended(seen, "task record")
    assert answer.status_code == 200
    tree = seen.tree()
    assert [path for path in tree if path.startswith(f"{DOOR} > ")] == TASKS
    assert f"POST {MESSAGES} > read turn" in tree
    assert attributes_of(seen.one("task record")) == {
        "prosa.tenant.id": "default",
        "prosa.turn.id": answer.json()["id"],
        "prosa.turn.attempt": 1,
    }
    assert strange_in(seen) == set()


@no_cover
@pytest.mark.usefixtures("aws")
async def test_a_turn_that_fails_there_has_its_failure_in_the_same_trace(
    settings: Settings, seen: Seen, moto_address: str
) -> None:
    model = ScriptedLanguageModel(default=ModelRejectedRequest("what a provider said"))
    async with door_and_machine(settings, seen, model, moto_address) as served:
        assert (await served.say()).status_code == 502
        await ended(seen, "task fail")
    assert attributes_of(seen.one("task generate"))["error.type"] == "ModelRejectedRequest"
    assert f"{DOOR} > task fail > fail" in seen.tree()
    assert strange_in(seen) == set()


class Told(TurnRunner):
    """A runner that remembers which trace was current for what is written."""

    traceparent: str | None = None

    async def start(self, attempt: AttemptId) -> None:
        assert attempt == ATTEMPT
        self.traceparent = TRACEPARENT.get()

    async def check(self) -> None:
        """Find it there."""


@pytest.mark.parametrize("told", [None, f"{REMOTE}-00"])
async def test_where_the_door_keeps_no_trace_no_task_does(seen: Seen, told: str | None) -> None:
    tracing = Tracing(seen.traces.get_tracer("test"), TraceBudget(rate=0, at_once=0))
    runner = Told()
    with tracing.begin("request", parent=context_of(told)):
        await TracedTurnRunner(runner, tracing).start(ATTEMPT)
    assert runner.traceparent is not None
    assert runner.traceparent.endswith("-00")
    assert told in {None, runner.traceparent}
    every = seen.telemetry.tracing  # it would keep any
    with doing_task(every, "classify", ATTEMPT, runner.traceparent), every.begin("classify"):
        pass
    assert seen.spans == ()
    assert TRACEPARENT.get() is None


async def test_a_task_of_which_no_trace_was_told_begins_one(seen: Seen) -> None:
    runner = Told()
    await TracedTurnRunner(runner, seen.telemetry.tracing).start(ATTEMPT)
    assert runner.traceparent is None
    with doing_task(seen.telemetry.tracing, "classify", ATTEMPT, runner.traceparent):
        pass
    assert seen.tree() == ["task classify"]
