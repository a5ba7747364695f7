"""Domain values as the API shows them: plain dicts, and their JSON."""

from collections.abc import Callable, Mapping
from typing import TypeVar

import orjson
from fastapi import Response

from prosa.application.ports.conversation_reader import Page
from prosa.domain.conversation_header import ConversationHeader
from prosa.domain.intent import Intent
from prosa.domain.message import Message
from prosa.domain.reply import Provenance
from prosa.domain.turn import Turn, TurnError

View = dict[str, object]
T = TypeVar("T", ConversationHeader, Message)


def json_bytes(view: View) -> bytes:
    """Write JSON; instants become RFC 3339 in UTC, with a `Z`."""
    return orjson.dumps(view, option=orjson.OPT_UTC_Z)


def json_answer(view: View, status: int = 200, **headers: str) -> Response:
    """Answer with a view. A header's name is written with underscores here."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(json_bytes(view), status, named or None, media_type="application/json")


def turn_view(turn: Turn) -> View:
    """Show a turn with its message and reply."""
    return {
        "id": turn.id,
        "object": "turn",
        "conversation_id": turn.conversation_id,
        "status": turn.status,
        "attempt": turn.attempt,
        "intent": _intent_view(turn.intent) if turn.intent else None,
        "message": message_view(turn.message),
        "reply": message_view(turn.reply) if turn.reply else None,
        "error": _error_view(turn.error) if turn.error else None,
        "created_at": turn.created_at,
        "completed_at": turn.completed_at,
    }


def message_view(message: Message) -> View:
    """Show a message; one of the assistant's also says how it came about."""
    view: View = {
        "id": message.id,
        "object": "message",
        "conversation_id": message.conversation_id,
        "role": message.role,
        "sequence": message.sequence,
        "text": message.text,
        "metadata": _sorted(message.metadata),
        "created_at": message.created_at,
    }
    if message.provenance is not None:
        view |= _provenance_view(message.provenance)
    return view


def conversation_view(header: ConversationHeader) -> View:
    """Show a conversation without its messages."""
    return {
        "id": header.id,
        "object": "conversation",
        "status": header.status,
        "owner": header.owner,
        "customer_id": header.customer_id,
        "channel": header.channel,
        "metadata": _sorted(header.metadata),
        "created_at": header.created_at,
        "updated_at": header.updated_at,
        "message_count": header.message_count,
    }


def list_view(page: Page[T], show: Callable[[T], View]) -> View:
    """Show a page of a list."""
    return {
        "object": "list",
        "data": [show(item) for item in page.items],
        "first_id": page.items[0].id if page.items else None,
        "last_id": page.items[-1].id if page.items else None,
        "has_more": page.has_more,
    }


def _intent_view(intent: Intent) -> View:
    return {"name": intent.name, "confidence": intent.confidence}


def _error_view(error: TurnError) -> View:
    return {"code": error.code, "retryable": error.retryable}


def _provenance_view(provenance: Provenance) -> View:
    prompt = provenance.prompt
    return {
        "finish_reason": provenance.finish_reason,
        "provider": provenance.provider,
        "model": provenance.model,
        "degraded": provenance.degraded,
        "prompt": {"name": prompt.name, "version": prompt.version} if prompt else None,
        "usage": {
            "input_tokens": provenance.usage.input_tokens,
            "output_tokens": provenance.usage.output_tokens,
        },
    }


def _sorted(metadata: Mapping[str, str]) -> dict[str, str]:
    """Order the keys: a database keeps none, and a replay is to be the same to the byte."""
    return dict(sorted(metadata.items()))
