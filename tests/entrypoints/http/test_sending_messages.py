"""Sending a message: plain, with a key, in a conversation; wherever its turn runs."""

import httpx
import pytest

from prosa.adapters.in_memory.language_model import Hang, ScriptedLanguageModel
from prosa.application.ports.language_model import ContextTooLong, ModelUnavailable
from prosa.domain.conversation_header import ConversationStatus, Owner
from tests.entrypoints.http.serving import (
    FORBIDDEN,
    REFUSED,
    InMemoryParts,
    parts_with,
    problem_in,
    served,
    turn_in,
)

ANSWER = "Saiu hoje. Chega amanhã."


@pytest.fixture(params=[False, True], ids=["here", "elsewhere"])
def elsewhere(request: pytest.FixtureRequest) -> bool:
    there: bool = request.param
    return there


async def test_a_message_is_answered_with_its_completed_turn(client: httpx.AsyncClient) -> None:
    response = await client.post("/v1/messages", json={"text": "Cadê?", "metadata": {"b": "1"}})

    assert response.status_code == 200
    turn = turn_in(response)
    assert turn.status == "completed"
    assert turn.intent is not None
    assert turn.intent.name == "order_status"
    assert turn.message.text == "Cadê?"
    assert turn.message.metadata == {"b": "1"}
    assert turn.reply is not None
    assert turn.reply.text == ANSWER
    assert turn.reply.sequence == 2
    assert turn.reply.prompt is not None
    assert turn.reply.prompt.version == "1"


async def test_times_are_in_utc_with_a_z(client: httpx.AsyncClient) -> None:
    turn = (await client.post("/v1/messages", json={"text": "Cadê?"})).json()
    for time in (turn["created_at"], turn["completed_at"], turn["message"]["created_at"]):
        assert time.endswith("Z")


async def test_the_first_message_starts_a_conversation_for_its_customer(
    client: httpx.AsyncClient,
) -> None:
    body = {"text": "Oi", "customer_id": "c-1", "channel": "web"}
    turn = turn_in(await client.post("/v1/messages", json=body))
    conversation = (await client.get(f"/v1/conversations/{turn.conversation_id}")).json()
    assert conversation["customer_id"] == "c-1"
    assert conversation["channel"] == "web"
    assert conversation["message_count"] == 2


async def test_message_is_another_name_of_v1_messages(client: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "one"}
    first = await client.post("/message", json={"text": "Oi"}, headers=key)
    second = await client.post("/v1/messages", json={"text": "Oi"}, headers=key)
    assert first.content == second.content


async def test_a_conversation_goes_on_by_its_id_in_the_body(client: httpx.AsyncClient) -> None:
    first = turn_in(await client.post("/v1/messages", json={"text": "Oi"}))
    body = {"text": "E agora?", "conversation_id": first.conversation_id}
    second = turn_in(await client.post("/v1/messages", json=body))
    assert second.conversation_id == first.conversation_id
    assert second.message.sequence == 3


async def test_a_conversation_goes_on_by_its_address(
    client: httpx.AsyncClient, model: ScriptedLanguageModel
) -> None:
    first = turn_in(await client.post("/v1/messages", json={"text": "Oi"}))
    address = f"/v1/conversations/{first.conversation_id}/messages"
    second = turn_in(await client.post(address, json={"text": "E agora?"}))
    assert second.message.sequence == 3
    assert len(model.requests[-1].utterances) == 3


async def test_a_message_for_an_unknown_conversation_is_not_found(
    client: httpx.AsyncClient,
) -> None:
    unknown = f"conv_{'0' * 32}"
    for address, body in (
        ("/v1/messages", {"text": "Oi", "conversation_id": unknown}),
        (f"/v1/conversations/{unknown}/messages", {"text": "Oi"}),
        ("/v1/conversations/4711/messages", {"text": "Oi"}),
    ):
        response = await client.post(address, json=body)
        assert response.status_code == 404
        assert problem_in(response)["code"] == "conversation_not_found"


async def test_a_closed_conversation_takes_no_message(client: httpx.AsyncClient) -> None:
    turn = turn_in(await client.post("/v1/messages", json={"text": "Oi"}))
    address = f"/v1/conversations/{turn.conversation_id}"
    await client.post(f"{address}/close")
    response = await client.post(f"{address}/messages", json={"text": "Oi"})
    assert response.status_code == 409
    assert problem_in(response)["code"] == "conversation_closed"


async def test_while_a_human_owns_the_conversation_there_is_no_reply(
    client: httpx.AsyncClient, parts: InMemoryParts
) -> None:
    first = turn_in(await client.post("/v1/messages", json={"text": "Oi"}))
    parts.hand_over(first.conversation_id)
    body = {"text": "Oi?", "conversation_id": first.conversation_id}
    turn = turn_in(await client.post("/v1/messages", json=body))
    assert turn.status == "completed"
    assert turn.reply is None


async def test_a_blocked_message_is_answered_with_a_safe_sentence(
    client: httpx.AsyncClient, model: ScriptedLanguageModel
) -> None:
    turn = turn_in(await client.post("/v1/messages", json={"text": FORBIDDEN}))
    assert turn.reply is not None
    assert turn.reply.text == REFUSED
    assert turn.reply.finish_reason == "content_filter"
    assert turn.reply.prompt is None
    assert model.requests == []


async def test_a_key_that_comes_again_brings_the_same_bytes(
    client: httpx.AsyncClient, model: ScriptedLanguageModel
) -> None:
    body = {"text": "Cadê?", "metadata": {"z": "1", "a": "2"}}
    first = await client.post("/v1/messages", json=body, headers={"Idempotency-Key": "k"})
    again = await client.post("/v1/messages", json=body, headers={"Idempotency-Key": '"k"'})
    assert again.content == first.content
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["idempotency-key"] == "k"
    assert len(model.requests) == 1


async def test_a_key_is_made_for_a_client_that_sends_none(client: httpx.AsyncClient) -> None:
    first = await client.post("/v1/messages", json={"text": "Oi"})
    key = first.headers["idempotency-key"]
    again = await client.post("/v1/messages", json={"text": "Oi"}, headers={"Idempotency-Key": key})
    assert again.content == first.content


async def test_a_key_with_another_body_is_refused(client: httpx.AsyncClient) -> None:
    key = {"Idempotency-Key": "k"}
    await client.post("/v1/messages", json={"text": "Oi"}, headers=key)
    response = await client.post("/v1/messages", json={"text": "Olá"}, headers=key)
    assert response.status_code == 422
    assert problem_in(response)["code"] == "idempotency_key_reused"


async def test_a_failure_says_by_which_key_to_ask_again(*, elsewhere: bool) -> None:
    model = ScriptedLanguageModel([ModelUnavailable("away")])
    async with served(parts_with(model, elsewhere=elsewhere)) as client:
        failed = await client.post("/v1/messages", json={"text": "Oi"})
        assert failed.status_code == 503
        problem = problem_in(failed)
        assert problem["code"] == "model_unavailable"
        assert failed.headers["retry-after"] == "5"
        assert failed.headers["location"] == f"/v1/turns/{problem['turn_id']}"
        key = {"Idempotency-Key": failed.headers["idempotency-key"]}
        turn = turn_in(await client.post("/v1/messages", json={"text": "Oi"}, headers=key))
        assert turn.id == problem["turn_id"]
        assert turn.attempt == 2
        assert turn.message.sequence == 1


async def test_a_failure_for_good_and_its_replay_differ_only_in_their_trace(
    *, elsewhere: bool
) -> None:
    model = ScriptedLanguageModel(default=ContextTooLong("long"))
    async with served(parts_with(model, elsewhere=elsewhere)) as client:
        key = {"Idempotency-Key": "k"}
        first = await client.post("/v1/messages", json={"text": "Oi"}, headers=key)
        again = await client.post("/message", json={"text": "Oi"}, headers=key)
    assert first.status_code == again.status_code == 422
    assert problem_in(first)["code"] == "context_too_long"
    assert again.headers["idempotent-replayed"] == "true"
    assert first.headers["location"] == again.headers["location"]
    one, other = problem_in(first), problem_in(again)
    assert one.pop("trace_id") != other.pop("trace_id")
    assert one == other


async def test_prefer_wait_shortens_the_deadline(*, elsewhere: bool) -> None:
    model = ScriptedLanguageModel(default=Hang())
    async with served(parts_with(model, elsewhere=elsewhere)) as client:
        response = await client.post(
            "/v1/messages", json={"text": "Oi"}, headers={"Prefer": "wait=1"}
        )
        assert response.status_code == 504
        problem = problem_in(response)
        assert problem["code"] == "deadline_exceeded"
        assert response.elapsed.total_seconds() < 2
        assert response.headers["location"] == f"/v1/turns/{problem['turn_id']}"
        turn = turn_in(await client.get(response.headers["location"]))
        assert turn.status == "failed"
        assert turn.error is not None
        assert turn.error.retryable


async def test_statuses_are_shown_as_the_domain_names_them(client: httpx.AsyncClient) -> None:
    turn = turn_in(await client.post("/v1/messages", json={"text": "Oi"}))
    conversation = (await client.get(f"/v1/conversations/{turn.conversation_id}")).json()
    assert conversation["status"] == ConversationStatus.OPEN
    assert conversation["owner"] == Owner.ASSISTANT
