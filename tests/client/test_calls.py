"""What can be asked of a server, by either client."""

import traceback
from dataclasses import replace

import pytest

from prosa.adapters.in_memory.authenticator import InMemoryAuthenticator
from prosa.adapters.in_memory.language_model import ScriptedLanguageModel
from prosa.application.ports.language_model import ModelRejectedRequest
from prosa.client import (
    AsyncClient,
    ClientError,
    Conflict,
    InvalidRequest,
    Message,
    NotFound,
    Reply,
    TurnCompleted,
    TurnDelta,
    TurnNotAnswered,
    TurnStarted,
    Unauthenticated,
)
from prosa.domain.caller import Caller
from prosa.domain.identifiers import DEFAULT_TENANT
from tests.client.both import Kind, Pauses, a_client
from tests.client.conftest import REPLY
from tests.client.network import Network
from tests.entrypoints.http.serving import InMemoryParts, app_of, served_on_loopback

pytestmark = pytest.mark.asyncio(loop_scope="module")

NOWHERE = "conv_" + "0" * 32


async def test_a_message_is_answered_with_its_turn(client: AsyncClient) -> None:
    turn = await client.send_message("Cadê meu pedido?", metadata={"order": "4711"})
    assert (turn.status, turn.attempt, turn.error) == ("completed", 1, None)
    assert (turn.message.text, turn.message.metadata) == ("Cadê meu pedido?", {"order": "4711"})
    assert turn.intent is not None
    assert turn.intent.name == "order_status"
    assert turn.reply is not None
    assert (turn.reply.text, turn.reply.finish_reason) == (REPLY, "stop")
    assert turn.completed_at is not None
    assert turn.completed_at.tzinfo is not None


async def test_a_message_goes_on_with_a_conversation(client: AsyncClient) -> None:
    first = await client.send_message("Oi!", customer_id="ana", channel="web")
    second = await client.send_message("E agora?", conversation_id=first.conversation_id)
    conversation = await client.read_conversation(first.conversation_id)
    assert second.conversation_id == first.conversation_id
    assert (conversation.customer_id, conversation.channel) == ("ana", "web")
    assert (conversation.status, conversation.owner) == ("open", "assistant")
    assert conversation.message_count == 4


async def test_the_same_key_is_the_same_turn(client: AsyncClient) -> None:
    first, second = [await client.send_message("Oi!", idempotency_key="k-1") for _ in range(2)]
    assert first == second


async def test_a_streamed_reply_comes_in_pieces_and_then_whole(client: AsyncClient) -> None:
    async with client.stream_message("Oi!", customer_id="ana") as events:
        heard = [event async for event in events]
    started, *deltas, completed = heard
    assert isinstance(started, TurnStarted)
    assert isinstance(completed, TurnCompleted)
    pieces = [event.text for event in deltas if isinstance(event, TurnDelta)]
    assert len(pieces) == len(deltas) > 2
    assert completed.turn.reply is not None
    assert "".join(pieces) == completed.turn.reply.text == REPLY
    assert [event.event_id for event in heard] == list(range(1, len(heard) + 1))
    assert completed.turn.id == started.turn_id


async def test_a_stream_may_be_left_early(client: AsyncClient) -> None:
    async with client.stream_message("Oi!") as events:
        started = await anext(events)
    assert isinstance(started, TurnStarted)
    turn = await client.wait_for_turn(started.turn_id)
    assert turn.status == "completed"


async def test_a_turn_may_be_waited_for_later(client: AsyncClient) -> None:
    submitted = await client.submit_message("Oi!")
    turn = await client.wait_for_turn(submitted.id)
    assert submitted.status == "running"
    assert (turn.id, turn.status) == (submitted.id, "completed")
    assert await client.read_turn(turn.id) == turn


async def test_who_waits_for_a_turn_that_fails_is_told_why(
    client: AsyncClient, model: ScriptedLanguageModel, pauses: Pauses
) -> None:
    model.script.append(ModelRejectedRequest("no"))
    submitted = await client.submit_message("Oi!")
    with pytest.raises(TurnNotAnswered) as failed:
        await client.wait_for_turn(submitted.id)
    assert failed.value.turn_id == submitted.id
    assert pauses.seconds == []


async def test_a_turn_is_followed_behind_any_event(client: AsyncClient) -> None:
    turn = await client.send_message("Oi!")
    async with client.follow_turn(turn.id) as events:
        whole = [event async for event in events]
    for last in range(1, len(whole) + 1):
        async with client.follow_turn(turn.id, last_event_id=last) as events:
            assert [event async for event in events] == whole[last:]


async def test_a_conversation_is_started_listed_and_closed(client: AsyncClient) -> None:
    started = await client.start_conversation(customer_id="ana", metadata={"order": "4711"})
    closed = await client.close_conversation(started.id)
    assert (started.status, closed.status) == ("open", "closed")
    assert started.metadata == {"order": "4711"}
    page = await client.list_conversations(status="closed", customer_id="ana", limit=5)
    assert ([one.id for one in page.data], page.has_more) == ([started.id], False)
    assert (await client.list_conversations(status="open")).data == ()


async def test_pages_are_read_one_after_the_other(client: AsyncClient) -> None:
    ids = [(await client.start_conversation()).id for _ in range(5)]
    everything = client.each_conversation(limit=2, order="asc")
    assert [one.id async for one in everything] == ids
    behind = client.each_conversation(limit=2, order="asc", after=ids[2])
    assert [one.id async for one in behind] == ids[3:]


async def test_messages_are_listed_replies_with_how_they_came_about(client: AsyncClient) -> None:
    turn = await client.send_message("Oi!")
    await client.send_message("E agora?", conversation_id=turn.conversation_id)
    page = await client.list_messages(turn.conversation_id, limit=3, order="desc")
    assert [message.sequence for message in page.data] == [4, 3, 2]
    assert page.has_more
    messages = [one async for one in client.each_message(turn.conversation_id, limit=3)]
    assert [type(message) for message in messages] == [Message, Reply, Message, Reply]
    assert messages[1] == turn.reply


async def test_where_a_human_answers_there_is_no_reply(
    client: AsyncClient, parts: InMemoryParts
) -> None:
    conversation = await client.start_conversation()
    parts.hand_over(conversation.id)
    turn = await client.send_message("Oi!", conversation_id=conversation.id)
    assert (turn.status, turn.reply) == ("completed", None)


async def test_what_is_to_be_mended_is_named(client: AsyncClient, pauses: Pauses) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await client.send_message(" ", customer_id="")
    assert (refused.value.status, refused.value.code) == (422, "validation_error")
    assert {field.location for field in refused.value.errors} == {"body.text", "body.customer_id"}
    assert pauses.seconds == []


async def test_what_is_not_there_is_an_error_of_its_own(
    client: AsyncClient, pauses: Pauses
) -> None:
    for address in (NOWHERE, "../conversations", ""):
        with pytest.raises(NotFound):
            await client.read_turn(address)
    with pytest.raises(NotFound) as refused:
        await client.send_message("Oi!", conversation_id=NOWHERE)
    assert refused.value.code == "conversation_not_found"
    assert refused.value.trace_id in str(refused.value)
    assert pauses.seconds == []


async def test_a_closed_conversation_takes_no_message_and_that_is_final(
    client: AsyncClient, pauses: Pauses
) -> None:
    conversation = await client.start_conversation()
    await client.close_conversation(conversation.id)
    for _ in range(2):
        with pytest.raises(Conflict) as refused:
            await client.send_message("Oi!", conversation_id=conversation.id)
        assert refused.value.code == "conversation_closed"
    assert pauses.seconds == []


async def test_any_text_can_be_sent(client: AsyncClient) -> None:
    text = 'Olá 👋🏽 "aspas" \u2028\\ ção'
    assert (await client.send_message(text)).message.text == text
    with pytest.raises(InvalidRequest):
        await client.send_message("half a letter: \ud83d")


async def test_a_token_is_asked_for_before_each_request(
    kind: Kind, parts: InMemoryParts, pauses: Pauses
) -> None:
    shop = Caller(tenant_id=DEFAULT_TENANT, name="shop")
    callers = {"first": shop}
    guarded = replace(parts, authenticator=InMemoryAuthenticator(callers))
    tokens = iter(["first", "first", "second"])
    async with served_on_loopback(app_of(guarded)) as server:
        url = str(server.base_url)
        async with a_client(kind, url, pauses, tokens=lambda: next(tokens)) as client:
            turn = await client.send_message("Oi!")
            callers.clear()
            with pytest.raises(Unauthenticated) as refused:
                await client.read_turn(turn.id)
            callers["second"] = shop
            assert await client.read_turn(turn.id) == turn
    assert "first" not in str(refused.value)
    assert pauses.seconds == []


async def test_what_no_header_can_carry_is_an_error_that_does_not_repeat_it(
    kind: Kind, network: Network, pauses: Pauses
) -> None:
    tokens = iter(["s\u00e9cret", "secret\n"])
    async with a_client(kind, network.url, pauses, tokens=lambda: next(tokens)) as client:
        for _ in range(2):
            with pytest.raises(ClientError) as refused:
                await client.list_conversations()
            assert "cret" not in "".join(traceback.format_exception(refused.value))
    assert pauses.seconds == []
