"""What is said: messages, and who said them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from prosa.domain.content import Part, text_of
from prosa.domain.identifiers import ConversationId, MessageId, TurnId
from prosa.domain.reply import Provenance

MAX_MESSAGE_CHARACTERS = 8_000
"""The longest message that a customer may send, in characters (code points)."""


class Role(StrEnum):
    """Who speaks."""

    USER = "user"
    """The customer."""
    ASSISTANT = "assistant"
    """The language model."""
    TOOL = "tool"
    """The result of a tool that the assistant called."""
    AGENT = "agent"
    """A human who took over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Utterance:
    """What was said and by whom, and nothing else: all that a language model is shown."""

    role: Role
    parts: tuple[Part, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """A stored utterance. `sequence` counts from 1 within its conversation, without gaps."""

    id: MessageId
    conversation_id: ConversationId
    turn_id: TurnId
    sequence: int
    role: Role
    parts: tuple[Part, ...]
    created_at: datetime
    provenance: Provenance | None = None
    """How it came about; of the assistant's messages only."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """What the tenant attached to a customer's message; no model is shown it."""

    @property
    def text(self) -> str:
        """The words of the message."""
        return text_of(self.parts)
