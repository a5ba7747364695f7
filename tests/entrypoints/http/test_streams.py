"""A turn as a stream of events, and turns that outlive the request that began them."""

import asyncio

import httpx
import pytest

from prosa.adapters.in_memory.language_model import Hang, ScriptedLanguageModel, ScriptedReply
from prosa.application.ports.language_model import ModelRequest, ModelUnavailable, OnText
from prosa.domain.content import Text
from prosa.domain.identifiers import DEFAULT_TENANT, TurnId
from prosa.domain.reply import Reply
from tests.entrypoints.http.serving import (
    LATER,
    STREAM,
    InMemoryParts,
    PausingModel,
    app_of,
    events_in,
    parts_with,
    problem_in,
    served,
    served_on_loopback,
    turn_in,
)
from tests.waiting import until, until_idle

BODY = {"text": "Cadê?"}


async def completed(client: httpx.AsyncClient, address: str) -> httpx.Response:
    """Ask for a turn until it has ended."""
    for _ in range(500):
        response = await client.get(address)
        if turn_in(response).status != "running":
            return response
        await asyncio.sleep(0.01)
    pytest.fail("the turn does not end")


async def test_a_stream_says_started_then_pieces_then_the_whole_turn(
    client: httpx.AsyncClient,
) -> None:
    response = await client.post("/v1/messages", json=BODY, headers=STREAM)

    assert response.status_code == 200
    assert response.headers["content-type"].startswith("text/event-stream")
    events = events_in(response.text)
    assert [event.id for event in events] == [1, 2, 3, 4]
    names = ["turn.started", "turn.delta", "turn.delta", "turn.completed"]
    assert [event.name for event in events] == names
    turn = await client.get(f"/v1/turns/{events[0].said['turn_id']}")
    assert events[-1].said == turn.json()
    assert events[0].said["conversation_id"] == turn_in(turn).conversation_id
    reply = turn_in(turn).reply
    assert reply is not None
    assert "".join(str(event.said["text"]) for event in events[1:-1]) == reply.text


async def test_a_replayed_stream_has_the_same_bytes(client: httpx.AsyncClient) -> None:
    headers = {**STREAM, "Idempotency-Key": "k"}
    first = await client.post("/v1/messages", json=BODY, headers=headers)
    again = await client.post("/v1/messages", json=BODY, headers=headers)
    assert again.content == first.content
    assert again.headers["idempotent-replayed"] == "true"


async def test_what_was_streamed_replays_plain_and_the_other_way_round(
    client: httpx.AsyncClient,
) -> None:
    key = {"Idempotency-Key": "k"}
    streamed = await client.post("/v1/messages", json=BODY, headers={**STREAM, **key})
    plain = await client.post("/v1/messages", json=BODY, headers=key)
    assert events_in(streamed.text)[-1].said == plain.json()


async def test_a_stream_without_a_reply_is_started_and_completed(
    client: httpx.AsyncClient, parts: InMemoryParts
) -> None:
    first = turn_in(await client.post("/v1/messages", json=BODY))
    parts.hand_over(first.conversation_id)
    address = f"/v1/conversations/{first.conversation_id}/messages"
    events = events_in((await client.post(address, json=BODY, headers=STREAM)).text)
    assert [event.name for event in events] == ["turn.started", "turn.completed"]
    assert events[-1].said["reply"] is None


async def test_a_failure_before_the_first_piece_is_a_plain_problem() -> None:
    model = ScriptedLanguageModel([ModelUnavailable("away")])
    async with served(parts_with(model)) as client:
        response = await client.post("/v1/messages", json=BODY, headers=STREAM)
    assert response.status_code == 503
    assert problem_in(response)["code"] == "model_unavailable"


async def test_a_failure_after_the_first_piece_is_an_event_and_may_be_repaired() -> None:
    broken = ScriptedReply(parts=(Text(text="Saiu hoje. Chega"),), cut_after=14)
    parts = parts_with(ScriptedLanguageModel([broken]))
    async with served(parts) as client:
        response = await client.post("/v1/messages", json=BODY, headers=STREAM)
        assert response.status_code == 200
        events = events_in(response.text)
        assert [event.name for event in events] == ["turn.started", "turn.delta", "turn.failed"]
        problem = events[-1].said
        assert problem["code"] == "model_unavailable"
        assert problem["turn_id"] == events[0].said["turn_id"]
        turn = turn_in(await client.get(f"/v1/turns/{problem['turn_id']}"))
        assert (turn.status, turn.reply) == ("failed", None)
        assert turn.error is not None
        assert turn.error.retryable
        attempts = parts.storage.of(DEFAULT_TENANT).attempts
        assert attempts[TurnId(turn.id), 1].said == "Saiu hoje. "
        key = {"Idempotency-Key": response.headers["idempotency-key"]}
        again = await client.post("/v1/messages", json=BODY, headers={**STREAM, **key})
        assert events_in(again.text)[-1].name == "turn.completed"


async def test_the_first_byte_waits_for_the_first_piece_and_the_next_for_nothing() -> None:
    model = PausingModel()
    async with (
        served_on_loopback(app_of(parts_with(model))) as client,
        client.stream("POST", "/v1/messages", json=BODY, headers=STREAM) as response,
    ):
        chunks = response.aiter_text()
        seen = await anext(chunks)
        assert [event.name for event in events_in(seen)] == ["turn.started", "turn.delta"]
        model.may_go_on.set()
        events = events_in(seen + "".join([chunk async for chunk in chunks]))
    assert [event.said.get("text") for event in events[1:3]] == ["Um momento. ", "Vejamos."]
    assert events[-1].name == "turn.completed"


async def test_a_stream_with_nothing_to_say_shows_that_it_lives() -> None:
    model = PausingModel()
    app = app_of(parts_with(model), ping_seconds=0.02)
    async with (
        served_on_loopback(app) as client,
        client.stream("POST", "/v1/messages", json=BODY, headers=STREAM) as response,
    ):
        chunks = response.aiter_text()
        seen = ""
        while ": ping\n\n" not in seen:
            seen += await anext(chunks)
        model.may_go_on.set()
        rest = "".join([chunk async for chunk in chunks])
    assert events_in(rest)[-1].name == "turn.completed"


async def test_a_client_that_goes_away_in_a_stream_cancels_nothing() -> None:
    model = PausingModel()
    async with served_on_loopback(app_of(parts_with(model))) as client:
        async with client.stream("POST", "/v1/messages", json=BODY, headers=STREAM) as response:
            seen = await anext(response.aiter_text())
        await asyncio.sleep(0.1)  # the server notices, and lets go of the stream
        model.may_go_on.set()
        turn_id = events_in(seen)[0].said["turn_id"]
        turn = turn_in(await completed(client, f"/v1/turns/{turn_id}"))
    assert turn.status == "completed"
    assert turn.reply is not None
    assert turn.reply.text == "Um momento. Vejamos."


class BreakingModel(PausingModel):
    """Says a sentence, then breaks."""

    async def generate(self, request: ModelRequest, on_text: OnText | None = None) -> Reply:
        await super().generate(request, on_text)
        raise RuntimeError(BODY["text"])


@pytest.mark.parametrize("reads_on", [True, False])
async def test_a_bug_in_a_stream_is_logged_once_whether_or_not_anybody_reads_on(
    caplog: pytest.LogCaptureFixture, *, reads_on: bool
) -> None:
    model = BreakingModel()
    async with served_on_loopback(app_of(parts_with(model))) as client:
        async with client.stream("POST", "/v1/messages", json=BODY, headers=STREAM) as response:
            chunks = response.aiter_text()
            await anext(chunks)
            if reads_on:
                model.may_go_on.set()
                rest = "".join([chunk async for chunk in chunks])
                assert events_in(rest)[-1].said["code"] == "internal_error"
        model.may_go_on.set()
        await until(lambda: "internal_error" in caplog.text)
        await until_idle()
    assert caplog.text.count("internal_error") == 1
    assert BODY["text"] not in caplog.text


async def test_respond_async_is_answered_at_once_with_the_running_turn() -> None:
    model = PausingModel()
    async with served(parts_with(model)) as client:
        response = await client.post("/v1/messages", json=BODY, headers=LATER)
        assert response.status_code == 202
        turn = turn_in(response)
        assert turn.status == "running"
        assert turn.reply is None
        assert response.headers["location"] == f"/v1/turns/{turn.id}"
        assert response.headers["preference-applied"] == "respond-async"
        model.may_go_on.set()
        assert turn_in(await completed(client, response.headers["location"])).reply is not None


async def test_while_a_turn_runs_its_key_and_its_conversation_are_taken() -> None:
    model = PausingModel()
    async with served(parts_with(model)) as client:
        headers = {**LATER, "Idempotency-Key": "k"}
        running = turn_in(await client.post("/v1/messages", json=BODY, headers=headers))
        again = await client.post("/v1/messages", json=BODY, headers=headers)
        assert again.status_code == 409
        assert problem_in(again)["code"] == "turn_in_progress"
        assert problem_in(again)["turn_id"] == running.id
        assert again.headers["location"] == f"/v1/turns/{running.id}"
        assert again.headers["retry-after"] == "2"
        conversation = f"/v1/conversations/{running.conversation_id}"
        for address, body in ((f"{conversation}/messages", BODY), (f"{conversation}/close", None)):
            busy = await client.post(address, json=body)
            assert busy.status_code == 409
            assert problem_in(busy)["code"] == "conversation_busy"
            assert busy.headers["retry-after"] == "2"
        model.may_go_on.set()


async def test_a_failure_that_nobody_waits_for_is_found_in_the_turn() -> None:
    model = ScriptedLanguageModel([ModelUnavailable("away")])
    async with served(parts_with(model)) as client:
        response = await client.post("/v1/messages", json=BODY, headers=LATER)
        turn = turn_in(await completed(client, response.headers["location"]))
    assert turn.status == "failed"
    assert turn.error is not None
    assert turn.error.code == "model_unavailable"


async def test_respond_async_of_a_finished_turn_is_answered_with_it(
    client: httpx.AsyncClient,
) -> None:
    key = {"Idempotency-Key": "k"}
    first = await client.post("/v1/messages", json=BODY, headers=key)
    again = await client.post("/v1/messages", json=BODY, headers={**LATER, **key})
    assert again.status_code == 200
    assert again.content == first.content


async def test_at_shutdown_turns_on_their_own_may_end() -> None:
    parts = parts_with(ScriptedLanguageModel(default=ScriptedReply(parts=(), latency=0.1)))
    async with served(parts) as client:
        response = await client.post("/v1/messages", json=BODY, headers=LATER)
    async with served(parts) as client:
        turn = turn_in(await client.get(response.headers["location"]))
    assert turn.status == "completed"


async def test_at_shutdown_nobody_waits_for_ever() -> None:
    parts = parts_with(ScriptedLanguageModel(default=Hang()))
    async with asyncio.timeout(2):
        async with served(parts, app_of(parts, drain_seconds=0.05)) as client:
            response = await client.post("/v1/messages", json=BODY, headers=LATER)
        async with served(parts) as client:
            turn = turn_in(await client.get(response.headers["location"]))
    assert turn.status == "failed"
    assert turn.error is not None
    assert (turn.error.code, turn.error.retryable) == ("interrupted", True)
