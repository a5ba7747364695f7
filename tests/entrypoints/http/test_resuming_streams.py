"""The events of a turn, read again from any of them on, wherever the turn runs or ran."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prosa.adapters.in_memory.conversation_reader import InMemoryConversationReader
from prosa.adapters.in_memory.language_model import ScriptedLanguageModel, ScriptedReply
from prosa.application.ports.language_model import LanguageModelError, ModelUnavailable
from prosa.application.ports.unit_of_work import StorageUnavailable
from prosa.domain.content import Text
from prosa.domain.identifiers import DEFAULT_TENANT, TenantId, TurnId
from prosa.domain.turn import Turn
from tests.entrypoints.http.serving import (
    FORBIDDEN,
    LATER,
    REFUSED,
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

BODY = {"text": "Cadê?"}
PING = ": ping\n\n"
UNKNOWN = f"/v1/turns/turn_{'0' * 32}/events"


def behind(number: object) -> dict[str, str]:
    return {"Last-Event-ID": str(number)}


def without_pings(text: str) -> str:
    return text.replace(PING, "")


def cut(stream: str) -> list[str]:
    return [f"{event}\n\n" for event in stream.split("\n\n")[:-1]]


def address_in(stream: str) -> str:
    return f"/v1/turns/{events_in(stream)[0].said['turn_id']}/events"


async def streamed(client: httpx.AsyncClient) -> str:
    return (await client.post("/v1/messages", json=BODY, headers=STREAM)).text


async def started_later(client: httpx.AsyncClient) -> str:
    """Begin a turn; give the address of its events."""
    response = await client.post("/v1/messages", json=BODY, headers=LATER)
    assert response.status_code == 202
    return f"{response.headers['location']}/events"


async def require_resumable(parts: InMemoryParts) -> None:
    """Prove that a restarted server sends the bytes of the live stream behind any of its events."""
    async with served(parts) as client:
        live = await streamed(client)
    async with served(parts) as client:
        address = address_in(live)
        events = cut(live)
        assert (await client.get(address)).text == live
        for seen in range(len(events)):
            again = await client.get(address, headers=behind(seen))
            assert again.status_code == 200
            assert again.headers["content-type"].startswith("text/event-stream")
            assert again.text == "".join(events[seen:])
        read_to_the_end = await client.get(address, headers=behind(len(events)))
        assert (read_to_the_end.status_code, read_to_the_end.content) == (204, b"")


# Finished turns


async def test_a_finished_turn_goes_on_behind_any_of_its_events() -> None:
    await require_resumable(parts_with(ScriptedLanguageModel(default="Saiu. Chega amanhã. Até!")))


async def test_a_reply_that_was_blocked_midway_goes_on_as_any_other() -> None:
    parts = parts_with(ScriptedLanguageModel(default=f"Saiu. Chega {FORBIDDEN}. Até!"))
    await require_resumable(parts)
    (turn,) = parts.storage.of(DEFAULT_TENANT).turns.values()
    assert turn.reply is not None
    assert turn.reply.text == f"Saiu. {REFUSED}"


words = st.text(st.sampled_from("aB7 .!?…\"')\n\t\u00a0"), max_size=200) | st.lists(
    st.tuples(st.integers(1, 130), st.sampled_from([" ", ". ", "\n\n"])), max_size=5
).map(lambda words: "".join("x" * length + blank for length, blank in words))


@settings(deadline=None, max_examples=50)
@given(text=words)
def test_whatever_a_reply_says_its_events_are_numbered_and_say_it_and_go_on(text: str) -> None:
    async def check() -> None:
        parts = parts_with(ScriptedLanguageModel(default=text))
        async with served(parts) as client:
            events = events_in(await streamed(client))
        assert [event.id for event in events] == list(range(1, len(events) + 1))
        deltas = events[1:-1]
        assert {event.name for event in deltas} <= {"turn.delta"}
        assert "".join(str(event.said["text"]) for event in deltas) == text
        await require_resumable(parts_with(ScriptedLanguageModel(default=text)))

    asyncio.run(check())


async def test_a_turn_that_was_sent_plain_has_the_same_events(client: httpx.AsyncClient) -> None:
    turn = turn_in(await client.post("/v1/messages", json=BODY))
    events = events_in((await client.get(f"/v1/turns/{turn.id}/events")).text)
    names = ["turn.started", "turn.delta", "turn.delta", "turn.completed"]
    assert [event.name for event in events] == names


@pytest.mark.parametrize("sent", ["-1", "1.5", "two", "", "99", "9" * 5_000, "²", "0x1", "1,2"])
async def test_what_is_no_id_of_an_event_begins_at_the_start(
    client: httpx.AsyncClient, sent: str
) -> None:
    live = await streamed(client)
    headers = {b"Last-Event-ID": sent.encode()}
    again = await client.get(address_in(live), headers=headers)
    assert (again.status_code, again.text) == (200, live)


@pytest.mark.parametrize("address", [UNKNOWN, "/v1/turns/4711/events"])
async def test_a_turn_that_is_not_there_is_not_found(
    client: httpx.AsyncClient, address: str
) -> None:
    response = await client.get(address, headers=STREAM)
    assert response.status_code == 404
    assert problem_in(response)["code"] == "turn_not_found"


async def test_another_tenant_s_turn_is_not_found(
    client: httpx.AsyncClient, parts: InMemoryParts
) -> None:
    live = await streamed(client)
    storage = parts.storage
    ours, theirs = storage.of(DEFAULT_TENANT), storage.of(TenantId("another"))
    theirs.turns, ours.turns = ours.turns, theirs.turns
    assert (await client.get(address_in(live))).status_code == 404


async def test_events_are_only_to_be_read(client: httpx.AsyncClient) -> None:
    response = await client.post(UNKNOWN)
    assert (response.status_code, response.headers["allow"]) == (405, "GET")


# Failed turns


@pytest.mark.parametrize(("seen", "ids"), [(0, [1, 2]), (1, [2]), (2, [3]), (7, [8])])
async def test_the_failure_of_a_turn_always_comes_behind_what_was_read(
    seen: int, ids: list[int]
) -> None:
    model = ScriptedLanguageModel([ModelUnavailable("away")])
    async with served(parts_with(model)) as client:
        problem = problem_in(await client.post("/v1/messages", json=BODY))
        address = f"/v1/turns/{problem['turn_id']}/events" if "turn_id" in problem else ""
        response = await client.get(address, headers=behind(seen))
    events = events_in(response.text)
    assert [event.id for event in events] == ids
    assert [event.name for event in events] == ["turn.started", "turn.failed"][-len(ids) :]
    told = events[-1].said
    assert told["trace_id"] != problem["trace_id"]
    assert {**problem, "trace_id": None} == {**told, "trace_id": None}


async def test_a_turn_that_failed_for_good_says_so() -> None:
    failure: LanguageModelError = ModelUnavailable("away")
    async with served(parts_with(ScriptedLanguageModel(default=failure))) as client:
        key = {"Idempotency-Key": "k"}
        for _ in range(6):
            last = await client.post("/v1/messages", json=BODY, headers=key)
        assert problem_in(last)["code"] == "turn_failed"
        response = await client.get(f"{last.headers['location']}/events")
    assert events_in(response.text)[-1].said["code"] == "turn_failed"


BROKEN = ScriptedReply(parts=(Text(text="Saiu hoje. Chega já. E mais"),), cut_after=24)


async def test_ids_of_an_earlier_attempt_splice_nothing() -> None:
    model = ScriptedLanguageModel([BROKEN], default="Outra coisa. Bem outra. Fim.")
    async with served(parts_with(model)) as client:
        headers = {**STREAM, "Idempotency-Key": "k"}
        broken = await client.post("/v1/messages", json=BODY, headers=headers)
        assert [event.name for event in events_in(broken.text)][-2:] == [
            "turn.delta",
            "turn.failed",
        ]
        whole = await client.post("/v1/messages", json=BODY, headers=headers)
        for seen in range(8):
            again = await client.get(address_in(broken.text), headers=behind(seen))
            assert again.text == whole.text


# Turns that run here


@asynccontextmanager
async def a_paused_turn(model: PausingModel) -> AsyncIterator[tuple[httpx.AsyncClient, str, str]]:
    """Begin a streamed turn and leave it; give its address and what was said of it so far."""
    async with served_on_loopback(app_of(parts_with(model), ping_seconds=0.02)) as client:
        async with client.stream("POST", "/v1/messages", json=BODY, headers=STREAM) as response:
            said = await anext(response.aiter_text())
        yield client, address_in(said), without_pings(said)


async def test_many_follow_a_turn_that_runs_each_from_its_own_place() -> None:
    model = PausingModel()
    async with a_paused_turn(model) as (client, address, said):

        async def follow(seen: int, begun: asyncio.Event) -> str:
            async with client.stream("GET", address, headers=behind(seen)) as response:
                text = ""
                async for chunk in response.aiter_text():
                    text += chunk
                    begun.set()
            return without_pings(text)

        begun = [asyncio.Event() for _ in range(5)]
        following = [
            asyncio.create_task(follow(seen, begun[number]))
            for number, seen in enumerate([0, 0, 1, 2, 9])
        ]
        for reader in begun:
            await reader.wait()
        model.may_go_on.set()
        read = await asyncio.gather(*following)
        whole = (await client.get(address)).text
    assert whole.startswith(said)
    events = cut(whole)
    from_start, tail, rest = whole, "".join(events[1:]), "".join(events[2:])
    assert read == [from_start, from_start, tail, rest, from_start]


async def test_a_turn_that_nobody_streams_is_followed_too() -> None:
    model = PausingModel()
    async with served_on_loopback(app_of(parts_with(model))) as client:
        address = await started_later(client)
        async with client.stream("GET", address) as response:
            chunks = response.aiter_text()
            first = await anext(chunks)
            assert [event.name for event in events_in(first)] == ["turn.started"]
            model.may_go_on.set()
            followed = first + "".join([chunk async for chunk in chunks])
        assert followed == (await client.get(address)).text
    assert [event.said.get("text") for event in events_in(followed)[1:3]] == [
        "Um momento. ",
        "Vejamos.",
    ]


async def test_a_failure_is_told_to_all_who_follow() -> None:
    failing = ScriptedReply(parts=(Text(text="Oi. Saiu. E"),), cut_after=11, latency=0.1)
    async with served(parts_with(ScriptedLanguageModel([failing]))) as client:
        address = await started_later(client)
        live = events_in((await client.get(address)).text)
        later = events_in((await client.get(address)).text)
    assert [event.name for event in live] == ["turn.started", "turn.failed"]
    assert live[-1].said["code"] == later[-1].said["code"] == "model_unavailable"


# Turns that run elsewhere


@asynccontextmanager
async def a_turn_elsewhere(
    model: PausingModel, parts: InMemoryParts
) -> AsyncIterator[tuple[httpx.AsyncClient, str]]:
    """Begin a turn in one server; give a client of another one, which has the same storage."""
    try:
        async with (
            served(parts) as elsewhere,
            served(parts, app_of(parts, ping_seconds=0.1)) as here,
        ):
            yield here, await started_later(elsewhere)
            model.may_go_on.set()
    finally:
        model.may_go_on.set()


@pytest.mark.parametrize("seen", [0, 1, 2])
async def test_a_turn_that_runs_elsewhere_is_awaited(seen: int) -> None:
    model = PausingModel()
    async with a_turn_elsewhere(model, parts_with(model)) as (client, address):
        asyncio.get_running_loop().call_later(0.25, model.may_go_on.set)
        followed = await client.get(address, headers=behind(seen))
        whole = await client.get(address)
    assert PING in followed.text
    assert without_pings(followed.text) == "".join(cut(whole.text)[seen:])


def change(parts: InMemoryParts, address: str, **changes: object) -> None:
    """Change the stored turn, as another process would."""
    turns = parts.storage.of(DEFAULT_TENANT).turns
    turn_id = TurnId(address.split("/")[3])
    turns[turn_id] = replace(turns[turn_id], **changes)  # type: ignore[arg-type] # its own fields


async def test_a_turn_whose_process_died_is_given_up_once_its_lease_is_over() -> None:
    model = PausingModel()
    parts = parts_with(model)
    async with a_turn_elsewhere(model, parts) as (client, address):
        change(parts, address, lease_until=datetime.now(UTC))
        async with asyncio.timeout(5):
            events = events_in((await client.get(address, headers=behind(1))).text)
    assert [(event.id, event.name) for event in events] == [(2, "turn.failed")]
    assert events[0].said["code"] == "deadline_exceeded"
    assert str(events[0].said["turn_id"]) in address


async def test_where_another_attempt_finishes_the_turn_its_events_begin_anew() -> None:
    model = PausingModel()
    parts = parts_with(model)
    async with a_turn_elsewhere(model, parts) as (client, address):

        def finish() -> None:
            change(parts, address, attempt=2, status="completed", reply=None)

        asyncio.get_running_loop().call_later(0.05, finish)
        events = events_in((await client.get(address, headers=behind(2))).text)
    assert [(event.id, event.name) for event in events] == [
        (1, "turn.started"),
        (2, "turn.completed"),
    ]


class ForgetfulReader(InMemoryConversationReader):
    """Finds its storage away at the second and third look."""

    looks = 0

    async def get_turn(self, tenant_id: TenantId, turn_id: TurnId) -> Turn:
        self.looks += 1
        if self.looks in {2, 3}:
            raise StorageUnavailable("away")
        return await super().get_turn(tenant_id, turn_id)


async def test_while_the_storage_is_away_a_turn_is_still_awaited() -> None:
    model = PausingModel()
    parts = parts_with(model)
    parts = replace(parts, conversations=ForgetfulReader(parts.storage))
    async with a_turn_elsewhere(model, parts) as (client, address):
        model.may_go_on.set()
        events = events_in((await client.get(address)).text)
    assert events[-1].name == "turn.completed"
