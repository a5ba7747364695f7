"""Messages: send one, in a new conversation or a known one, and list them."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from prosa.application.accept_turn import CustomerMessage
from prosa.domain.identifiers import ConversationId, MessageId
from prosa.entrypoints.http import documentation as docs
from prosa.entrypoints.http.authentication import caller_of, conversations_of
from prosa.entrypoints.http.idempotency_key import idempotency_key_of
from prosa.entrypoints.http.path_ids import conversation_id_in
from prosa.entrypoints.http.rendering import json_answer, list_view, message_view
from prosa.entrypoints.http.request_facts import facts_of
from prosa.entrypoints.http.schemas import (
    ConversationPathId,
    FirstMessage,
    MessageList,
    MessagesQuery,
    NewMessage,
)
from prosa.entrypoints.http.strict_json import StrictJsonRoute
from prosa.entrypoints.http.turn_answers import answer_message, preferences_of

router = APIRouter(route_class=StrictJsonRoute, tags=["messages"])


@router.post(
    "/v1/messages",
    summary="Send a message",
    responses=docs.TURN_ANSWERS,
    openapi_extra=docs.TURN_HEADERS,
)
@router.post(
    "/message",
    summary="Send a message (the unversioned name of /v1/messages)",
    responses=docs.TURN_ANSWERS,
    openapi_extra=docs.TURN_HEADERS,
)
async def send_message(request: Request, body: FirstMessage) -> Response:
    """Send a customer's message and get the assistant's reply.

    Without `conversation_id` it starts a conversation.
    """
    conversation_id = ConversationId(body.conversation_id) if body.conversation_id else None
    return await _answer(request, body, conversation_id, body.customer_id, body.channel)


@router.post(
    "/v1/conversations/{conversation_id}/messages",
    summary="Send a message in a conversation",
    responses=docs.TURN_ANSWERS,
    openapi_extra=docs.TURN_HEADERS,
)
async def send_message_in_conversation(
    request: Request, conversation_id: ConversationPathId, body: NewMessage
) -> Response:
    """Send a customer's message in a conversation and get the assistant's reply."""
    return await _answer(request, body, conversation_id_in(conversation_id))


@router.get(
    "/v1/conversations/{conversation_id}/messages",
    summary="List a conversation's messages",
    responses=docs.answers(
        {200: docs.json_of(MessageList, "message_list", "A page of messages.")},
        "conversation_not_found",
        "validation_error",
        "storage_unavailable",
    ),
)
async def list_messages(
    request: Request, conversation_id: ConversationPathId, query: Annotated[MessagesQuery, Query()]
) -> Response:
    """List messages by their sequence, oldest first unless `order` is `desc`."""
    page = await conversations_of(request).list_messages(
        caller_of(request).tenant_id,
        conversation_id_in(conversation_id),
        limit=query.limit,
        after=MessageId(query.after) if query.after else None,
        ascending=query.order == "asc",
    )
    return json_answer(list_view(page, message_view))


async def _answer(
    request: Request,
    body: NewMessage,
    conversation_id: ConversationId | None,
    customer_id: str | None = None,
    channel: str | None = None,
) -> Response:
    caller = caller_of(request)
    key = idempotency_key_of(facts_of(request.scope))
    preferences = preferences_of(request)
    message = CustomerMessage(
        text=body.text,
        tenant_id=caller.tenant_id,
        conversation_id=conversation_id,
        customer_id=caller.customer_for(customer_id),
        asking_customer_id=caller.customer_id,
        channel=channel,
        metadata=body.metadata,
        caller=caller.name,
        idempotency_key=key,
        wait_seconds=None if preferences.respond_async else preferences.wait_seconds,
        caller_waits=not preferences.respond_async,
    )
    return await answer_message(request, message, preferences)
