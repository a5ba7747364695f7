"""Conversations: start, read, list and close them."""

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from prosa.application import start_conversation as start
from prosa.application.ports.conversation_reader import ConversationFilter
from prosa.domain.identifiers import ConversationId
from prosa.entrypoints.http import documentation as docs
from prosa.entrypoints.http.authentication import caller_of, conversations_of
from prosa.entrypoints.http.idempotency_key import idempotency_key_of
from prosa.entrypoints.http.parts import parts_of
from prosa.entrypoints.http.path_ids import conversation_id_in
from prosa.entrypoints.http.rendering import conversation_view, json_answer, list_view
from prosa.entrypoints.http.request_facts import facts_of
from prosa.entrypoints.http.schemas import (
    Conversation,
    ConversationList,
    ConversationPathId,
    ConversationsQuery,
    NewConversation,
)
from prosa.entrypoints.http.strict_json import StrictJsonRoute

CREATED = 201

router = APIRouter(route_class=StrictJsonRoute, tags=["conversations"])


@router.post(
    "/v1/conversations",
    summary="Start a conversation",
    status_code=CREATED,
    responses=docs.answers(
        {201: docs.CONVERSATION_STARTED},
        "malformed_json",
        "invalid_idempotency_key",
        "request_timeout",
        "payload_too_large",
        "unsupported_media_type",
        "validation_error",
        "idempotency_key_reused",
        "storage_unavailable",
    ),
    openapi_extra=docs.IDEMPOTENCY_HEADER,
)
async def start_conversation(request: Request, body: NewConversation) -> Response:
    """Start a conversation, without a message yet.

    A request that comes again with its key is answered with the conversation as it was started.
    """
    caller = caller_of(request)
    facts = facts_of(request.scope)
    key = idempotency_key_of(facts)
    started = await parts_of(request).start_conversation(
        start.NewConversation(
            tenant_id=caller.tenant_id,
            customer_id=caller.customer_for(body.customer_id),
            channel=body.channel,
            metadata=body.metadata,
            caller=caller.name,
            idempotency_key=key,
        )
    )
    facts.replayed = started.replayed
    address = f"/v1/conversations/{started.header.id}"
    return json_answer(conversation_view(started.header), CREATED, Location=address)


@router.get(
    "/v1/conversations",
    summary="List conversations",
    responses=docs.answers(
        {200: docs.json_of(ConversationList, "conversation_list", "A page of conversations.")},
        "validation_error",
        "storage_unavailable",
    ),
)
async def list_conversations(
    request: Request, query: Annotated[ConversationsQuery, Query()]
) -> Response:
    """List conversations by their start, newest first unless `order` is `asc`."""
    caller = caller_of(request)
    page = await conversations_of(request).list_conversations(
        caller.tenant_id,
        ConversationFilter(
            status=query.status,
            owner=query.owner,
            customer_id=caller.customer_for(query.customer_id),
        ),
        limit=query.limit,
        after=ConversationId(query.after) if query.after else None,
        ascending=query.order == "asc",
    )
    return json_answer(list_view(page, conversation_view))


@router.get(
    "/v1/conversations/{conversation_id}",
    summary="Read a conversation",
    responses=docs.answers(
        {200: docs.json_of(Conversation, "conversation", "The conversation.")},
        "conversation_not_found",
        "storage_unavailable",
    ),
)
async def read_conversation(request: Request, conversation_id: ConversationPathId) -> Response:
    """Read a conversation; its messages have an address of their own."""
    header = await conversations_of(request).get_conversation(
        caller_of(request).tenant_id, conversation_id_in(conversation_id)
    )
    return json_answer(conversation_view(header))


@router.post(
    "/v1/conversations/{conversation_id}/close",
    summary="Close a conversation",
    responses=docs.answers(
        {200: docs.json_of(Conversation, "closed_conversation", "The closed conversation.")},
        "conversation_not_found",
        "conversation_busy",
        "storage_unavailable",
    ),
)
async def close_conversation(request: Request, conversation_id: ConversationPathId) -> Response:
    """Close a conversation: it takes no more messages. Closing a closed one changes nothing."""
    caller = caller_of(request)
    header = await parts_of(request).close_conversation(
        caller.tenant_id,
        conversation_id_in(conversation_id),
        asking_customer_id=caller.customer_id,
    )
    return json_answer(conversation_view(header))
