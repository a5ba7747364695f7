"""Streams go on behind what was heard: nothing is lost, and nothing comes twice."""

import asyncio
import json
from dataclasses import replace

import pytest
from fastapi import FastAPI

from prosa.adapters.in_memory.language_model import ScriptedLanguageModel, ScriptedReply
from prosa.application.ports.language_model import ModelRequest, ModelUnavailable, OnText
from prosa.client import (
    AsyncClient,
    ServerFailed,
    ServerUnreachable,
    Turn,
    TurnCompleted,
    TurnDelta,
    TurnEvent,
    TurnStarted,
    UnexpectedAnswer,
)
from prosa.domain.content import Text
from prosa.domain.identifiers import DEFAULT_TENANT
from prosa.domain.reply import Reply
from prosa.entrypoints.http.parts import serve_by, serving_by
from tests.client.both import Kind, Pauses, a_client
from tests.client.conftest import REPLY
from tests.client.network import Answer, CutAt, Fault, Network, Refuse
from tests.entrypoints.http.serving import InMemoryParts, parts_with

pytestmark = pytest.mark.asyncio(loop_scope="module")

EVENTS = 6
"""Of REPLY's stream: it is started, said in four pieces, and completed."""


def event(number: int) -> bytes:
    return b"id: %d\n" % number


def require_whole(heard: list[TurnEvent], number: int = EVENTS) -> None:
    """Prove that each event came once, in order, and that they say all of the reply."""
    assert [event.event_id for event in heard] == list(range(1, number + 1))
    assert isinstance(heard[0], TurnStarted)
    assert isinstance(heard[-1], TurnCompleted)
    assert heard[-1].turn.reply is not None
    assert said_in(heard) == heard[-1].turn.reply.text == REPLY


def said_in(heard: list[TurnEvent]) -> str:
    return "".join(event.text for event in heard if isinstance(event, TurnDelta))


async def test_a_stream_that_is_cut_at_any_event_goes_on_there(
    client: AsyncClient, network: Network, parts: InMemoryParts
) -> None:
    """Before the event, in its id, and in what it says."""
    cuts = [CutAt(event(cut), kept) for cut in range(1, EVENTS + 1) for kept in (0, 5, 25)]
    for times, cut in enumerate(cuts, 1):
        network.faults.append(cut)
        async with client.stream_message("Oi!") as events:
            require_whole([event async for event in events])
        assert not network.faults
        assert len(network.requests) == 2 * times
        assert len(parts.storage.of(DEFAULT_TENANT).turns) == times


async def test_a_stream_that_is_cut_at_every_event_goes_on_each_time(
    client: AsyncClient, network: Network, pauses: Pauses
) -> None:
    network.faults.extend(CutAt(event(number), 25) for number in range(1, EVENTS + 1))
    async with client.stream_message("Oi!") as events:
        require_whole([event async for event in events])
    assert len(pauses.seconds) == EVENTS
    assert network.headers("last-event-id") == ["1", "2", "3", "4", "5"]


async def test_a_turn_that_is_followed_goes_on_each_time(
    client: AsyncClient, network: Network
) -> None:
    turn = await client.send_message("Oi!")
    network.faults.extend(CutAt(event(number), 25) for number in range(1, EVENTS + 1))
    async with client.follow_turn(turn.id) as events:
        require_whole([event async for event in events])


async def test_a_network_that_is_away_for_a_while_in_a_stream_is_waited_for(
    client: AsyncClient, network: Network
) -> None:
    away: list[Fault] = [Refuse(), Answer("503 Service Unavailable"), Refuse(), Refuse()]
    network.faults.extend([CutAt(event(3)), *away, CutAt(event(4)), *away])
    async with client.stream_message("Oi!") as events:
        require_whole([event async for event in events])


async def test_a_stream_that_breaks_off_behind_its_last_event_is_whole(
    client: AsyncClient, network: Network, pauses: Pauses
) -> None:
    network.faults.append(CutAt(b"\r\n0\r\n\r\n"))
    async with client.stream_message("Oi!") as events:
        require_whole([event async for event in events])
    assert len(network.requests) == 1
    assert not any(pauses.seconds)


def taken_over(turn: Turn) -> Answer:
    """Answer as a server does whose attempt at a turn is overtaken while it streams it."""
    facts = {"turn_id": turn.id, "conversation_id": turn.conversation_id}
    problem = {"status": 409, "code": "turn_in_progress", "title": "T", "detail": "D."}
    said = [
        ("turn.started", facts),
        ("turn.delta", {"text": "Another reply. "}),
        ("turn.failed", {**problem, "trace_id": "0", "turn_id": turn.id}),
    ]
    events = [
        f"id: {number}\nevent: {kind}\ndata: {json.dumps(facts)}\n\n"
        for number, (kind, facts) in enumerate(said, 1)
    ]
    return Answer("200 OK", ("Content-Type: text/event-stream",), "".join(events))


async def test_a_turn_that_another_attempt_takes_over_is_heard_from_its_start(
    client: AsyncClient, network: Network, pauses: Pauses
) -> None:
    turn = await client.send_message("Oi!")
    network.faults.extend([taken_over(turn)] * 3)
    async with client.stream_message("Oi!") as events:
        heard = [event async for event in events]
    assert [type(event) for event in heard[:6]] == [TurnStarted, TurnDelta] * 3
    require_whole(heard[6:])
    assert len(pauses.seconds) == 3
    assert all(1 <= pause <= 1.25 for pause in pauses.seconds)


async def test_who_waits_for_a_turn_waits_for_the_attempt_that_takes_it_over(
    client: AsyncClient, network: Network
) -> None:
    turn = await client.send_message("Oi!")
    network.faults.extend([taken_over(turn)] * 3)
    assert await client.wait_for_turn(turn.id) == turn


async def test_a_turn_that_is_waited_for_is_never_given_without_its_end(
    client: AsyncClient, network: Network
) -> None:
    network.faults.append(Answer("204 No Content", body=""))
    with pytest.raises(UnexpectedAnswer):
        await client.wait_for_turn("turn_1")


class SlowModel(ScriptedLanguageModel):
    """Takes a tenth of a second for each of ten sentences."""

    async def generate(self, request: ModelRequest, on_text: OnText | None = None) -> Reply:
        for number in range(10):
            await asyncio.sleep(0.1)
            if on_text:
                await on_text(f"This is sentence {number}. ")
        return await super().generate(request)


async def test_a_stream_that_goes_on_ends_when_the_callers_time_is_up(
    kind: Kind, served: tuple[FastAPI, int], pauses: Pauses
) -> None:
    app, port = served
    serve_by(app, replace(serving_by(app), parts=parts_with(SlowModel())))
    heard: list[TurnEvent] = []

    async def follow() -> None:
        async with (
            a_client(kind, f"http://127.0.0.1:{port}", pauses) as client,
            client.stream_message("Oi!") as streamed,
        ):
            started = await anext(streamed)
            assert isinstance(started, TurnStarted)
            async with client.follow_turn(started.turn_id, seconds=0.4) as events:
                async for event in events:
                    heard.append(event)  # noqa: PERF401 - heard before the error

    async with asyncio.timeout(5):
        with pytest.raises(ServerUnreachable):
            await follow()
    assert said_in(heard)
    assert not any(isinstance(event, TurnCompleted) for event in heard)


async def test_a_turn_that_fails_before_anything_was_said_is_tried_again(
    client: AsyncClient, model: ScriptedLanguageModel, pauses: Pauses
) -> None:
    model.script.append(ModelUnavailable("the connection to scripted failed"))
    async with client.stream_message("Oi!") as events:
        heard = [event async for event in events]
    require_whole(heard)
    assert len(pauses.seconds) == 1


async def test_a_turn_that_fails_after_something_was_said_is_an_error(
    client: AsyncClient, model: ScriptedLanguageModel, pauses: Pauses
) -> None:
    model.script.append(ScriptedReply(parts=(Text(text=REPLY),), cut_after=30))
    heard: list[TurnEvent] = []

    async def hear() -> None:
        async with client.stream_message("Oi!", idempotency_key="k-1") as events:
            async for event in events:
                heard.append(event)  # noqa: PERF401 - what was heard before the error counts

    with pytest.raises(ServerFailed) as failed:
        await hear()
    assert failed.value.code == "model_unavailable"
    assert REPLY.startswith(said_in(heard))
    assert said_in(heard)
    assert pauses.seconds == []
    async with client.stream_message("Oi!", idempotency_key="k-1") as events:
        require_whole([event async for event in events])
