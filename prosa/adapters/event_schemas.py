"""What each published event holds: the source of the JSON Schemas and of docs/events.md.

For whoever reads events. Those who write them do not import this: `event_format` is on the way of
every turn. A later version of Prosa may add fields to an event of the same version; readers ignore
what they do not know.
"""

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from prosa.adapters.event_format import BREAKER_MOVED, MODELS_SOURCE, SCHEMA, SOURCE


def _identifier(prefix: str) -> Any:  # noqa: ANN401 - a field's description, which has no type
    return Field(pattern=rf"^{prefix}_[0-9a-f]{{32}}$", examples=[f"{prefix}_{'0' * 32}"])


EventId = Annotated[str, _identifier("evt")]
ConversationId = Annotated[str, _identifier("conv")]
TurnId = Annotated[str, _identifier("turn")]
MessageId = Annotated[str, _identifier("msg")]
Count = Annotated[int, Field(ge=0)]
Ordinal = Annotated[int, Field(ge=1)]


class _Object(BaseModel):
    model_config = ConfigDict(frozen=True, strict=True)


class CloudEvent(_Object):
    """What every event says: a CloudEvents 1.0 object."""

    specversion: Literal["1.0"]
    id: EventId = Field(description="The same each time that the event is delivered.")
    time: AwareDatetime = Field(description="When it happened, in UTC, to the microsecond.")
    datacontenttype: Literal["application/json"]
    traceparent: str | None = Field(
        default=None,
        description="The trace that it happened in (W3C Trace Context), where there was one.",
    )


class ConversationEvent(CloudEvent):
    """What every event of a conversation says."""

    source: Literal["prosa.conversations"] = Field(description=f"Always `{SOURCE}`.")
    subject: ConversationId = Field(description="The conversation.")
    tenantid: str = Field(description="Whose conversation it is.")


class TurnEvent(ConversationEvent):
    """What every event of a turn says."""

    correlationid: TurnId = Field(description="The turn: all of its events have it in common.")
    causationid: MessageId = Field(description="The customer's message that caused the turn.")


class ConversationData(_Object):
    """What `data` of every event of a conversation holds."""

    conversation_id: ConversationId = Field(description="As `subject`.")
    sequence: Ordinal = Field(
        description="Counts the events of the conversation, from 1 and without gaps."
    )


class TurnData(ConversationData):
    """What `data` of every event of a turn holds."""

    turn_id: TurnId = Field(description="As `correlationid`.")
    message_id: MessageId = Field(description="The customer's message, as `causationid`.")
    attempt: Ordinal = Field(description="Which attempt at the turn it was.")


class ConversationStartedData(ConversationData):
    """`data` of `conversation.started.v1`."""

    channel: str | None = Field(description="Where the customer writes, as the tenant calls it.")


class ConversationStarted(ConversationEvent):
    """A conversation was started."""

    type: Literal["conversation.started.v1"]
    dataschema: Literal["urn:prosa:event:conversation.started.v1"]
    correlationid: ConversationId = Field(description="The conversation.")
    data: ConversationStartedData


class ConversationClosedData(ConversationData):
    """`data` of `conversation.closed.v1`."""

    message_count: Count = Field(description="How many messages it has.")


class ConversationClosed(ConversationEvent):
    """A conversation was closed: it takes no more messages."""

    type: Literal["conversation.closed.v1"]
    dataschema: Literal["urn:prosa:event:conversation.closed.v1"]
    correlationid: ConversationId = Field(description="The conversation.")
    data: ConversationClosedData


class TurnStarted(TurnEvent):
    """A customer's message was stored and an attempt at its turn began."""

    type: Literal["conversation.turn.started.v1"]
    dataschema: Literal["urn:prosa:event:conversation.turn.started.v1"]
    data: TurnData


class Intent(_Object):
    """What the customer wants, as it was classified."""

    name: str = Field(description="Of the catalog of intents.")
    confidence: float = Field(ge=0, le=1)


class Prompt(_Object):
    """Which of our instructions the model was given."""

    name: str
    version: str


class Usage(_Object):
    """Tokens of the answer's own call."""

    input_tokens: Count
    output_tokens: Count


class Provenance(_Object):
    """How the reply came about."""

    finish_reason: Literal["stop", "length", "tool_calls", "content_filter", "error"]
    provider: str = Field(description="Who answered; `prosa` for a sentence of its own.")
    model: str
    degraded: bool = Field(description="Whether it is a canned sentence, as no model answered.")
    prompt: Prompt | None
    usage: Usage


class TurnCompletedData(TurnData):
    """`data` of `conversation.turn.completed.v1`."""

    intent: Intent | None
    reply_id: MessageId | None = Field(description="The reply; null where a human answers.")
    provenance: Provenance | None = Field(description="Null where a human answers.")


class TurnCompleted(TurnEvent):
    """A turn was completed: its reply is stored."""

    type: Literal["conversation.turn.completed.v1"]
    dataschema: Literal["urn:prosa:event:conversation.turn.completed.v1"]
    data: TurnCompletedData


class TurnError(_Object):
    """Why an attempt failed."""

    code: str = Field(description="As in the problems of the HTTP API, such as `model_timed_out`.")
    retryable: bool = Field(description="Whether the same idempotency key may try again.")


class TurnFailedData(TurnData):
    """`data` of `conversation.turn.failed.v1`."""

    error: TurnError


class TurnFailed(TurnEvent):
    """An attempt at a turn failed; another may follow where the error is retryable."""

    type: Literal["conversation.turn.failed.v1"]
    dataschema: Literal["urn:prosa:event:conversation.turn.failed.v1"]
    data: TurnFailedData


class BreakerMovedData(_Object):
    """`data` of `language_model.breaker.moved.v1`."""

    model: str = Field(description="As `subject`.")
    before: Literal["closed", "open", "half_open"]
    after: Literal["closed", "open", "half_open"]


class BreakerMoved(CloudEvent):
    """The circuit breaker of a language model moved, in one process.

    It tells of no conversation and no tenant, and is not kept in the outbox: it may be lost.
    """

    type: Literal["language_model.breaker.moved.v1"]
    dataschema: Literal["urn:prosa:event:language_model.breaker.moved.v1"]
    source: Literal["prosa.language_models"] = Field(description=f"Always `{MODELS_SOURCE}`.")
    subject: str = Field(description="The model, as `PROSA_MODELS` writes it.")
    data: BreakerMovedData


class ReplyReadyData(_Object):
    """`data` of `conversation.reply.ready.v1`."""

    conversation_id: ConversationId = Field(description="As `subject`.")
    turn_id: TurnId = Field(description="As `correlationid`.")
    message_id: MessageId = Field(description="The customer's message, as `causationid`.")
    reply_id: MessageId = Field(description="As `id`.")
    channel: str | None = Field(description="Where the customer writes, as the tenant calls it.")
    customer_id: str | None = Field(description="The tenant's own reference to the customer.")
    text: str = Field(description="What to send to the customer.")
    metadata: dict[str, str] = Field(description="What came with the customer's message.")


class ReplyReady(TurnEvent):
    """A reply that nobody waits for is to be sent to the customer, once for each `id`."""

    type: Literal["conversation.reply.ready.v1"]
    dataschema: Literal["urn:prosa:event:conversation.reply.ready.v1"]
    id: MessageId = Field(description="The reply: the same each time that it is delivered.")
    data: ReplyReadyData


EVENTS: dict[str, type[CloudEvent]] = {
    "conversation.started.v1": ConversationStarted,
    "conversation.closed.v1": ConversationClosed,
    "conversation.turn.started.v1": TurnStarted,
    "conversation.turn.completed.v1": TurnCompleted,
    "conversation.turn.failed.v1": TurnFailed,
    BREAKER_MOVED: BreakerMoved,
}
"""The events by their type."""


def json_schema(kind: str, model: type[BaseModel] | None = None) -> dict[str, Any]:
    """Describe the events of a type, as JSON Schema 2020-12. Its identifier is their dataschema.

    `model` is for what goes onto no bus.
    """
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": f"{SCHEMA}{kind}",
        **(model or EVENTS[kind]).model_json_schema(),
    }
