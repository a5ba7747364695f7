"""What a client is given: turns, messages, conversations, pages of them, and events of a turn.

Instants are aware, in UTC. A newer server may say more than is read here, and use words that are
not listed here: neither is an error.
"""

from datetime import datetime
from typing import Generic, TypeVar

from pydantic import BaseModel, ConfigDict


class _Told(BaseModel):
    model_config = ConfigDict(frozen=True)


class Intent(_Told):
    """What a message is about; `confidence` is between 0 and 1."""

    name: str
    confidence: float


class PromptReference(_Told):
    """Which prompt produced a reply."""

    name: str
    version: str


class TokenUsage(_Told):
    """The tokens that a reply took; `input_tokens` includes cached ones."""

    input_tokens: int
    output_tokens: int


class Message(_Told):
    """A stored message. `sequence` counts from 1 within its conversation, without gaps.

    `role` is `user`, `assistant`, `tool` or `agent` (a human).
    """

    id: str
    conversation_id: str
    role: str
    sequence: int
    text: str
    metadata: dict[str, str]
    created_at: datetime


class Reply(Message):
    """A message of the assistant's, with how it came about.

    `finish_reason` is `stop`, `length`, `tool_calls`, `content_filter` or `error`. `prompt` is None
    where the platform itself gave a safe reply.
    """

    finish_reason: str
    provider: str
    model: str
    degraded: bool
    prompt: PromptReference | None
    usage: TokenUsage


class TurnError(_Told):
    """Why a turn failed. `retryable`: the same idempotency key makes it run again."""

    code: str
    retryable: bool


class Turn(_Told):
    """One customer message and what came of it.

    `status` is `running`, `completed` or `failed`. `reply` is None while the turn runs, where it
    failed, and while a human owns the conversation.
    """

    id: str
    conversation_id: str
    status: str
    attempt: int
    intent: Intent | None
    message: Message
    reply: Reply | None
    error: TurnError | None
    created_at: datetime
    completed_at: datetime | None


class Conversation(_Told):
    """A conversation. `status` is `open` or `closed`, `owner` `assistant` or `human`."""

    id: str
    status: str
    owner: str
    customer_id: str | None
    channel: str | None
    metadata: dict[str, str]
    created_at: datetime
    updated_at: datetime
    message_count: int


T = TypeVar("T")


class Page(_Told, Generic[T]):
    """A page of a list; `last_id` is the `after` of the next one, if it `has_more`."""

    data: tuple[T, ...]
    first_id: str | None
    last_id: str | None
    has_more: bool


class TurnStarted(_Told):
    """A turn begins. Whoever reads it forgets what came before: it says all anew.

    `event_id` is where a stream goes on behind it, here as with the others.
    """

    event_id: int
    turn_id: str
    conversation_id: str


class TurnDelta(_Told):
    """The next piece of the reply, about a sentence; all pieces joined are the reply's text."""

    event_id: int
    text: str


class TurnCompleted(_Told):
    """The turn has ended well; nothing comes behind it."""

    event_id: int
    turn: Turn


TurnEvent = TurnStarted | TurnDelta | TurnCompleted
