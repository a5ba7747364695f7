"""The shapes of the API: what bodies and queries may hold, and what answers look like.

Bodies and queries are checked against these models. Answers are rendered by `rendering.py` without
them, which is faster; here they are documented, and tests prove that what is rendered fits.
"""

from datetime import datetime
from typing import Annotated, Literal

from fastapi import Path
from pydantic import Field

from prosa.domain.conversation_header import ConversationStatus, Owner
from prosa.domain.message import Role
from prosa.domain.reply import FinishReason
from prosa.domain.turn import TurnStatus
from prosa.entrypoints.customer_fields import (
    CONVERSATION_ID,
    MESSAGE_ID,
    Channel,
    CustomerId,
    CustomerText,
    Metadata,
    Strict,
)

MAX_PAGE = 100
USUAL_PAGE = 20

ConversationPathId = Annotated[
    str,
    Path(description="A conversation's id.", examples=["conv_0198c0de7a5b7c3d8e9f0a1b2c3d4e5f"]),
]
TurnPathId = Annotated[
    str, Path(description="A turn's id.", examples=["turn_0198c0de7a5b7c3d8e9f0a1b2c3d4e61"])
]


class NewConversation(Strict):
    """A conversation to start."""

    customer_id: CustomerId = None
    channel: Channel = None
    metadata: Metadata = Field(default_factory=dict)


class NewMessage(Strict):
    """A customer's message in a conversation."""

    text: CustomerText
    metadata: Metadata = Field(default_factory=dict)


class FirstMessage(NewMessage):
    """A customer's message; where it names no conversation, it starts one.

    `customer_id` and `channel` are those of the conversation that it starts.
    """

    conversation_id: Annotated[
        str | None,
        Field(
            pattern=CONVERSATION_ID,
            description="The conversation to go on with.",
            examples=["conv_0198c0de7a5b7c3d8e9f0a1b2c3d4e5f"],
        ),
    ] = None
    customer_id: CustomerId = None
    channel: Channel = None


PageLimit = Annotated[int, Field(ge=1, le=MAX_PAGE, description="How many to list.")]


class ConversationsQuery(Strict):
    """Which conversations to list."""

    limit: PageLimit = USUAL_PAGE
    after: Annotated[
        str | None,
        Field(pattern=CONVERSATION_ID, description="List what comes behind this conversation."),
    ] = None
    order: Annotated[
        Literal["asc", "desc"], Field(description="By start: oldest or newest first.")
    ] = "desc"
    status: Annotated[ConversationStatus | None, Field(description="Only these.")] = None
    owner: Annotated[Owner | None, Field(description="Only those that it answers.")] = None
    customer_id: CustomerId = None


class MessagesQuery(Strict):
    """Which messages to list."""

    limit: PageLimit = USUAL_PAGE
    after: Annotated[
        str | None, Field(pattern=MESSAGE_ID, description="List what comes behind this message.")
    ] = None
    order: Annotated[
        Literal["asc", "desc"], Field(description="By sequence: oldest or newest first.")
    ] = "asc"


KNOWN_NAMES = frozenset(
    {"body", "query", "path", "header"}.union(
        *(
            model.model_fields
            for model in (NewConversation, FirstMessage, ConversationsQuery, MessagesQuery)
        )
    )
)
"""All names that a location may have: another one is the client's."""


class Intent(Strict):
    """What the message is about; `confidence` is between 0 and 1."""

    name: str
    confidence: float


class PromptReference(Strict):
    """Which prompt produced a reply."""

    name: str
    version: str


class TokenUsage(Strict):
    """The tokens that a reply took; `input_tokens` includes cached ones."""

    input_tokens: int
    output_tokens: int


class Message(Strict):
    """A stored message. `sequence` counts from 1 within its conversation, without gaps."""

    id: str
    object: Literal["message"]
    conversation_id: str
    role: Role
    sequence: int
    text: str
    metadata: dict[str, str]
    created_at: datetime


class Reply(Message):
    """A message of the assistant's, with how it came about.

    `provider` is `prosa`, and `prompt` null, where the platform itself gave a safe reply.
    """

    finish_reason: FinishReason
    provider: str
    model: str
    degraded: bool
    prompt: PromptReference | None
    usage: TokenUsage


class TurnError(Strict):
    """Why a turn failed. `retryable`: the same Idempotency-Key makes it run again."""

    code: str
    retryable: bool


class Turn(Strict):
    """One customer message and what came of it.

    `reply` is null while the turn runs, where it failed, and while a human owns the conversation.
    """

    id: str
    object: Literal["turn"]
    conversation_id: str
    status: TurnStatus
    attempt: int
    intent: Intent | None
    message: Message
    reply: Reply | None
    error: TurnError | None
    created_at: datetime
    completed_at: datetime | None


class Conversation(Strict):
    """A conversation. `owner` says who answers the customer."""

    id: str
    object: Literal["conversation"]
    status: ConversationStatus
    owner: Owner
    customer_id: str | None
    channel: str | None
    metadata: dict[str, str]
    created_at: datetime
    updated_at: datetime
    message_count: int


class _List(Strict):
    object: Literal["list"]
    first_id: str | None
    last_id: str | None
    has_more: bool


class ConversationList(_List):
    """A page of conversations; `last_id` is the `after` of the next page."""

    data: list[Conversation]


class MessageList(_List):
    """A page of messages; `last_id` is the `after` of the next page."""

    data: list[Reply | Message]


class Alive(Strict):
    """The process lives."""

    status: Literal["ok"]


class Check(Strict):
    """Whether one part answers; `detail` says what is wrong where it does not."""

    name: str
    ok: bool
    detail: str


class Readiness(Strict):
    """Whether all parts answer."""

    status: Literal["ready", "not_ready"]
    checks: list[Check]


class FieldError(Strict):
    """What is wrong with one part of a request."""

    location: str
    code: str
    detail: str


class ProblemDocument(Strict):
    """A problem (RFC 9457). `code` is for programs; `trace_id` finds it in our logs."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    trace_id: str
    errors: list[FieldError]
    instance: str | None = None
    turn_id: Annotated[str | None, Field(description="The turn that it is about.")] = None
