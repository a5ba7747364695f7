"""Turns that run in this process: clients come and go, the server stops, the turn goes on."""

import asyncio
from dataclasses import dataclass, field, replace
from typing import cast

import pytest

from prosa.adapters.in_memory.language_model import Hang, ScriptedLanguageModel
from prosa.application.generation import OnPiece
from prosa.application.take_turn import TakeTurn
from prosa.domain.turn import Attempt, Turn
from prosa.entrypoints.http.app import stop_taking_turns
from prosa.entrypoints.http.event_stream import PIECES_AT_ONCE, live_events
from prosa.entrypoints.http.live_turns import LiveTurn, LiveTurns
from prosa.entrypoints.http.problem_table import RequestRefusedError
from prosa.testing.builders import VirtualClock, a_conversation, a_tenant, claim
from tests.entrypoints.http.serving import (
    LATER,
    STREAM,
    PausingModel,
    app_of,
    events_in,
    parts_with,
    problem_in,
    served,
    turn_in,
)
from tests.waiting import until, until_idle

BODY = {"text": "Cadê?"}


@dataclass
class Run:
    """A turn that says what it is told to, and ends when it is told to."""

    attempt: Attempt
    may_end: asyncio.Event = field(default_factory=asyncio.Event)
    cancelled: bool = False

    async def run(self, attempt: Attempt, on_piece: OnPiece | None = None) -> Turn:
        if on_piece:
            await on_piece("Oi. ")
        try:
            await self.may_end.wait()
        except asyncio.CancelledError:
            await asyncio.sleep(0.05)  # it stores that it failed
            self.cancelled = True
            raise
        return attempt.turn


def a_run() -> Run:
    clock = VirtualClock()
    conversation = a_conversation(clock, a_tenant())
    return Run(conversation.attempt_at(claim(conversation, clock)))


def taking(run: Run) -> TakeTurn:
    return cast("TakeTurn", run)


async def test_who_waits_may_be_cancelled_and_the_turn_goes_on() -> None:
    run, turns = a_run(), LiveTurns(drain_seconds=5)
    live = turns.run(taking(run), run.attempt)
    waiting = asyncio.create_task(live.completed())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    run.may_end.set()
    assert await live.completed() is run.attempt.turn


async def test_a_turn_is_found_for_as_long_as_it_runs() -> None:
    run, turns = a_run(), LiveTurns(drain_seconds=5)
    live = turns.stream(taking(run), run.attempt)
    assert turns.find(run.attempt.turn) is live
    await live.changed()
    assert live.pieces == ["Oi. "]
    run.may_end.set()
    await live.completed()
    assert turns.find(run.attempt.turn) is None


async def test_an_attempt_that_was_overtaken_is_not_found() -> None:
    run, turns = a_run(), LiveTurns(drain_seconds=5)
    turns.run(taking(run), run.attempt)
    newer = replace(run.attempt, turn=replace(run.attempt.turn, attempt=2))
    assert turns.find(newer.turn) is None
    second = Run(newer)
    live = turns.run(taking(second), newer)
    assert turns.find(run.attempt.turn) is live
    run.may_end.set()  # the late one leaves the other's place alone
    await until_idle()
    assert turns.find(newer.turn) is live
    second.may_end.set()
    await live.completed()


async def test_who_comes_late_to_a_long_reply_is_told_the_rest_at_once() -> None:
    live = LiveTurn(a_run().attempt.turn)
    for number in range(100):
        await live.say(f"{number}. ")
    events = live_events(live, 99, ping_seconds=60, tell_failure=lambda _error: {})
    async with asyncio.timeout(1):
        text = (await anext(events)).decode()
    assert [event.id for event in events_in(text)] == [100, 101]
    live.end(RuntimeError())
    assert [event.name for event in events_in((await anext(events)).decode())] == ["turn.failed"]


async def test_what_is_there_at_once_is_written_in_bounded_parts() -> None:
    live = LiveTurn(a_run().attempt.turn)
    for number in range(100):
        await live.say(f"{number}. ")
    live.end(RuntimeError())
    events = live_events(live, 0, ping_seconds=60, tell_failure=lambda _error: {})
    parts = [events_in(part.decode()) async for part in events]
    assert max(map(len, parts)) <= PIECES_AT_ONCE + 1
    assert [event.id for part in parts for event in part] == list(range(1, 103))


async def test_draining_waits_for_what_runs() -> None:
    run, turns = a_run(), LiveTurns(drain_seconds=5)
    live = turns.run(taking(run), run.attempt)
    asyncio.get_running_loop().call_later(0.05, run.may_end.set)
    await turns.drain()
    assert live.outcome is run.attempt.turn


async def test_what_is_not_done_in_time_is_cancelled_and_may_say_so() -> None:
    run, turns = a_run(), LiveTurns(drain_seconds=0.05)
    live = turns.stream(taking(run), run.attempt)
    await turns.drain()
    assert run.cancelled
    with pytest.raises(RequestRefusedError) as failed:
        await live.completed()
    assert failed.value.problem.code == "interrupted"


async def test_once_closed_the_time_runs_whoever_waits() -> None:
    run, turns = a_run(), LiveTurns(drain_seconds=0.05)
    live = turns.run(taking(run), run.attempt)
    turns.close()
    with pytest.raises(RequestRefusedError):
        await live.completed()
    async with asyncio.timeout(1):
        await turns.drain()


async def test_nothing_runs_and_nothing_is_waited_for() -> None:
    async with asyncio.timeout(1):
        await LiveTurns(drain_seconds=60).drain()


@pytest.mark.parametrize("headers", [{}, STREAM, LATER])
async def test_while_the_server_stops_no_turn_is_taken(headers: dict[str, str]) -> None:
    parts = parts_with()
    app = app_of(parts)
    async with served(parts, app) as client:
        known = turn_in(await client.post("/v1/messages", json=BODY))
        stop_taking_turns(app)
        refused = await client.post("/v1/messages", json=BODY, headers=headers)
        still = await client.get(f"/v1/turns/{known.id}/events")
    assert refused.status_code == 503
    assert problem_in(refused)["code"] == "shutting_down"
    assert refused.headers["retry-after"] == "1"
    assert "turn_id" not in refused.json()
    assert events_in(still.text)[-1].name == "turn.completed"


async def test_while_the_server_stops_streams_are_served_and_told_of_the_end() -> None:
    model = PausingModel()
    parts = parts_with(model)
    app = app_of(parts, drain_seconds=0.05)
    async with served(parts, app) as client:
        asyncio.get_running_loop().call_later(0.05, stop_taking_turns, app)
        streamed, plain = await asyncio.gather(
            client.post("/v1/messages", json=BODY, headers=STREAM),
            client.post("/v1/messages", json=BODY),
        )
        events = events_in(streamed.text)
        turn = turn_in(await client.get(f"/v1/turns/{events[0].said['turn_id']}"))
    assert [event.name for event in events] == ["turn.started", "turn.delta", "turn.failed"]
    assert events[-1].said["code"] == "interrupted"
    assert plain.status_code == 503
    assert problem_in(plain)["code"] == "interrupted"
    assert "turn_id" in plain.json()
    assert turn.error is not None
    assert (turn.error.code, turn.error.retryable) == ("interrupted", True)


async def test_an_interrupted_turn_runs_again_with_its_key() -> None:
    model = ScriptedLanguageModel([Hang()])
    parts = parts_with(model)
    headers = {**LATER, "Idempotency-Key": "k"}
    async with served(parts, app_of(parts, drain_seconds=0.01)) as client:
        await client.post("/v1/messages", json=BODY, headers=headers)
        await until(lambda: model.requests)
    async with served(parts) as client:
        again = await client.post("/v1/messages", json=BODY, headers={"Idempotency-Key": "k"})
    assert turn_in(again).attempt == 2
    assert turn_in(again).status == "completed"
