"""What happened: past tense, frozen, identifiers and facts, never what was said.

`sequence` counts the events of one conversation from 1, without gaps.
"""

from dataclasses import dataclass
from datetime import datetime

from prosa.domain.identifiers import (
    ConversationId,
    EventId,
    MessageId,
    TenantId,
    TurnId,
)
from prosa.domain.intent import Intent
from prosa.domain.reply import Provenance
from prosa.domain.turn import TurnError


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """What every event says."""

    id: EventId
    tenant_id: TenantId
    conversation_id: ConversationId
    sequence: int
    occurred_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationStarted(Event):
    """A conversation was started."""

    customer_id: str | None
    channel: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationClosed(Event):
    """A conversation was closed."""

    message_count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnStarted(Event):
    """A customer's message was stored and an attempt at its turn began."""

    turn_id: TurnId
    message_id: MessageId
    attempt: int


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnCompleted(Event):
    """A turn was completed; `reply_id` is None where a human answers."""

    turn_id: TurnId
    message_id: MessageId
    attempt: int
    intent: Intent | None
    reply_id: MessageId | None
    provenance: Provenance | None


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnFailed(Event):
    """An attempt at a turn failed."""

    turn_id: TurnId
    message_id: MessageId
    attempt: int
    error: TurnError
