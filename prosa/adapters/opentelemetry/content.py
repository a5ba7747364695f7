"""What was said, in traces: nothing unless an installation asks for it."""

import json
import re
from collections.abc import Awaitable, Callable
from enum import StrEnum
from typing import Final, assert_never

from prosa.application.ports.guardrail import Guardrail, GuardrailError, Passage
from prosa.application.ports.language_model import ModelRequest
from prosa.domain.content import text_of
from prosa.domain.identifiers import TenantId
from prosa.domain.message import Role, Utterance
from prosa.domain.reply import Reply
from prosa.domain.verdict import Allowed, Blocked, Direction, Redacted

Redact = Callable[[TenantId, str], Awaitable[str]]
"""Gives a text as it may be kept."""

UNREAD: Final = "[unread]"
"""In place of a text that could not be judged."""

_ADDRESS: Final = re.compile(r"\S+@\S+|\b(?:https?://|www\.)\S+", re.IGNORECASE)
_DIGIT: Final = re.compile(r"\d")


class Content(StrEnum):
    """How much of it: PROSA_TELEMETRY_CONTENT."""

    NONE = "none"
    REDACTED = "redacted"
    FULL = "full"


def redacting(guardrail: Guardrail) -> Redact:
    """Keep what a guardrail lets pass, without addresses, and without any digit.

    Documents, telephones, cards and orders are digits. A name is a word, and stays.
    """

    async def redact(tenant_id: TenantId, text: str) -> str:
        passage = Passage(tenant_id=tenant_id, direction=Direction.INBOUND, text=text)
        try:
            verdict = await guardrail.screen(passage)
        except GuardrailError:
            return UNREAD  # it is no reason for a turn to fail
        match verdict:
            case Blocked(reason=reason):
                return f"[{reason}]"
            case Redacted(text=kept):
                return _without_digits(kept)
            case Allowed():
                return _without_digits(text)
            case _:
                assert_never(verdict)

    return redact


async def as_it_is(_tenant_id: TenantId, text: str) -> str:
    """Keep all of it."""
    return text


async def instructions_of(request: ModelRequest, redact: Redact) -> str:
    """Write what a model was told to be, as the conventions have it: JSON."""
    return _json([_part(await redact(request.tenant_id, request.instructions))])


async def messages_of(request: ModelRequest, redact: Redact) -> str:
    """Write what it was shown."""

    async def kept(utterance: Utterance) -> str:
        return await redact(request.tenant_id, text_of(utterance.parts))

    shown = [(utterance.role, await kept(utterance)) for utterance in request.utterances]
    return _json([{"role": role, "parts": [_part(text)]} for role, text in shown])


async def answer_of(reply: Reply, tenant_id: TenantId, redact: Redact) -> str:
    """Write what it answered, before any guardrail has seen it."""
    parts = [_part(await redact(tenant_id, text_of(reply.parts)))]
    answer = {"role": Role.ASSISTANT, "parts": parts, "finish_reason": reply.finish_reason}
    return _json([answer])


def _without_digits(text: str) -> str:
    return _DIGIT.sub("#", _ADDRESS.sub("[address]", text))


def _part(text: str) -> dict[str, str]:
    return {"type": "text", "content": text}


def _json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False)
