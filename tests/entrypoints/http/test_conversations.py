"""Conversations: started, read, closed; turns and messages read; lists with cursors."""

from dataclasses import replace

import httpx
import pytest

from prosa.adapters.in_memory.conversation_reader import InMemoryConversationReader
from prosa.adapters.in_memory.storage import InMemoryStorage
from prosa.domain.identifiers import TenantId, TurnId
from prosa.domain.turn import Turn
from prosa.entrypoints.http.schemas import Conversation, ConversationList, MessageList
from tests.entrypoints.http.serving import InMemoryParts, problem_in, served, turn_in

UNKNOWN = "0" * 32


async def start(client: httpx.AsyncClient, **body: object) -> Conversation:
    response = await client.post("/v1/conversations", json=body)
    return Conversation.model_validate_json(response.content)


async def listed(client: httpx.AsyncClient, **query: str | int) -> ConversationList:
    response = await client.get("/v1/conversations", params=query)
    assert response.status_code == 200
    return ConversationList.model_validate_json(response.content)


async def test_a_conversation_is_started_and_read(client: httpx.AsyncClient) -> None:
    body = {"customer_id": "c-1", "channel": "web", "metadata": {"plan": "gold"}}
    response = await client.post("/v1/conversations", json=body)
    assert response.status_code == 201
    started = Conversation.model_validate_json(response.content)
    assert started.status == "open"
    assert started.owner == "assistant"
    assert started.metadata == {"plan": "gold"}
    assert started.message_count == 0
    assert response.headers["location"] == f"/v1/conversations/{started.id}"
    assert (await client.get(response.headers["location"])).content == response.content


async def test_a_start_that_comes_again_brings_the_conversation_as_it_was_started(
    client: httpx.AsyncClient,
) -> None:
    key = {"Idempotency-Key": "k"}
    first = await client.post("/v1/conversations", json={}, headers=key)
    await client.post(f"{first.headers['location']}/messages", json={"text": "Oi"})
    again = await client.post("/v1/conversations", json={}, headers=key)
    assert again.status_code == 201
    assert again.content == first.content
    assert again.headers["idempotent-replayed"] == "true"
    other = await client.post("/v1/conversations", json={"channel": "web"}, headers=key)
    assert other.status_code == 422
    assert problem_in(other)["code"] == "idempotency_key_reused"


async def test_a_start_without_a_key_gets_one(client: httpx.AsyncClient) -> None:
    first = await client.post("/v1/conversations", json={})
    key = {"Idempotency-Key": first.headers["idempotency-key"]}
    again = await client.post("/v1/conversations", json={}, headers=key)
    assert again.content == first.content


async def test_closing_is_seen_and_closing_again_changes_nothing(
    client: httpx.AsyncClient,
) -> None:
    conversation = await start(client)
    closed = await client.post(f"/v1/conversations/{conversation.id}/close")
    assert closed.status_code == 200
    assert Conversation.model_validate_json(closed.content).status == "closed"
    again = await client.post(f"/v1/conversations/{conversation.id}/close")
    assert again.content == closed.content


@pytest.mark.parametrize("known", [f"conv_{UNKNOWN}", "conv_1", "CONV", "a%00b", f"turn_{UNKNOWN}"])
async def test_an_unknown_conversation_is_not_found(client: httpx.AsyncClient, known: str) -> None:
    address = f"/v1/conversations/{known}"
    for response in (
        await client.get(address),
        await client.get(f"{address}/messages"),
        await client.post(f"{address}/close"),
    ):
        assert response.status_code == 404
        assert problem_in(response)["code"] == "conversation_not_found"


async def test_a_turn_is_read(client: httpx.AsyncClient) -> None:
    answered = await client.post("/v1/messages", json={"text": "Oi"})
    read = await client.get(f"/v1/turns/{turn_in(answered).id}")
    assert read.content == answered.content


@pytest.mark.parametrize("known", [f"turn_{UNKNOWN}", "turn_1", f"conv_{UNKNOWN}"])
async def test_an_unknown_turn_is_not_found(client: httpx.AsyncClient, known: str) -> None:
    response = await client.get(f"/v1/turns/{known}")
    assert response.status_code == 404
    assert problem_in(response)["code"] == "turn_not_found"


class WatchedReader(InMemoryConversationReader):
    """Counts how often it is asked."""

    def __init__(self, storage: InMemoryStorage) -> None:
        super().__init__(storage)
        self.asked = 0

    async def get_turn(self, tenant_id: TenantId, turn_id: TurnId) -> Turn:
        self.asked += 1
        return await super().get_turn(tenant_id, turn_id)


async def test_an_id_that_cannot_be_one_is_not_looked_up(parts: InMemoryParts) -> None:
    reader = WatchedReader(parts.storage)
    async with served(replace(parts, conversations=reader)) as client:
        await client.get("/v1/turns/4711")
        assert reader.asked == 0
        await client.get(f"/v1/turns/turn_{UNKNOWN}")
        assert reader.asked == 1


async def test_conversations_are_listed_newest_first_page_by_page(
    client: httpx.AsyncClient,
) -> None:
    ids = [(await start(client)).id for _ in range(3)]
    first = await listed(client, limit=2)
    assert [conversation.id for conversation in first.data] == [ids[2], ids[1]]
    assert (first.first_id, first.last_id, first.has_more) == (ids[2], ids[1], True)
    last = await listed(client, limit=2, after=ids[1])
    assert [conversation.id for conversation in last.data] == [ids[0]]
    assert not last.has_more


async def test_conversations_are_listed_oldest_first_where_asked(
    client: httpx.AsyncClient,
) -> None:
    ids = [(await start(client)).id for _ in range(2)]
    page = await listed(client, order="asc")
    assert [conversation.id for conversation in page.data] == ids


async def test_an_empty_list_has_no_ends(client: httpx.AsyncClient) -> None:
    page = await listed(client)
    assert page == ConversationList(
        object="list", data=[], first_id=None, last_id=None, has_more=False
    )


async def test_a_page_has_twenty_unless_asked_otherwise(client: httpx.AsyncClient) -> None:
    for _ in range(21):
        await start(client)
    assert len((await listed(client)).data) == 20
    assert len((await listed(client, limit=100)).data) == 21


async def test_lists_are_filtered(client: httpx.AsyncClient, parts: InMemoryParts) -> None:
    plain, closed, human = [(await start(client, customer_id=name)).id for name in "pch"]
    await client.post(f"/v1/conversations/{closed}/close")
    parts.hand_over(human)
    for query, expected in (
        ({"status": "closed"}, [closed]),
        ({"owner": "human"}, [human]),
        ({"customer_id": "p"}, [plain]),
        ({"customer_id": "p", "status": "closed"}, []),
    ):
        assert [item.id for item in (await listed(client, **query)).data] == expected


async def test_messages_are_listed_in_order_page_by_page(client: httpx.AsyncClient) -> None:
    conversation = await start(client)
    address = f"/v1/conversations/{conversation.id}/messages"
    for text in ("um", "dois"):
        await client.post(address, json={"text": text})

    async def sequences(**query: str | int) -> tuple[list[int], str | None, bool]:
        response = await client.get(address, params=query)
        page = MessageList.model_validate_json(response.content)
        return [message.sequence for message in page.data], page.last_id, page.has_more

    found, last, more = await sequences(limit=3)
    assert (found, more) == ([1, 2, 3], True)
    assert last is not None
    assert (await sequences(after=last))[0] == [4]
    assert (await sequences(order="desc", limit=1))[0] == [4]


@pytest.mark.parametrize(
    ("query", "location", "code"),
    [
        ("limit=0", "query.limit", "out_of_range"),
        ("limit=101", "query.limit", "out_of_range"),
        ("limit=many", "query.limit", "wrong_type"),
        ("limit=1.5", "query.limit", "wrong_type"),
        ("order=up", "query.order", "not_allowed"),
        ("after=4711", "query.after", "wrong_form"),
        ("page=2", "query", "unknown_field"),
    ],
)
async def test_a_list_asked_for_wrongly_is_refused(
    client: httpx.AsyncClient, query: str, location: str, code: str
) -> None:
    conversation = await start(client)
    for address in ("/v1/conversations", f"/v1/conversations/{conversation.id}/messages"):
        response = await client.get(f"{address}?{query}")
        assert response.status_code == 422
        problem = problem_in(response)
        assert problem["code"] == "validation_error"
        assert isinstance(problem["errors"], list)
        assert [(error["location"], error["code"]) for error in problem["errors"]] == [
            (location, code)
        ]


@pytest.mark.parametrize(
    ("query", "location", "code"),
    [
        ("status=ajar", "query.status", "not_allowed"),
        ("owner=robot", "query.owner", "not_allowed"),
        ("customer_id=", "query.customer_id", "too_short"),
        ("customer_id=a%00b", "query.customer_id", "nul_character"),
    ],
)
async def test_a_filter_that_cannot_be_is_refused(
    client: httpx.AsyncClient, query: str, location: str, code: str
) -> None:
    response = await client.get(f"/v1/conversations?{query}")
    assert response.status_code == 422
    errors = problem_in(response)["errors"]
    assert isinstance(errors, list)
    assert [(error["location"], error["code"]) for error in errors] == [(location, code)]
