"""Builders of domain values and a clock that tests move, for tests of adapters and use cases."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from uuid import uuid4

from prosa.domain.content import Text
from prosa.domain.conversation import Conversation
from prosa.domain.identifiers import ConversationId, MessageId, TenantId, TurnId, time_ordered
from prosa.domain.message import Message, Role
from prosa.domain.moment import Moment
from prosa.domain.reply import (
    Call,
    CallPurpose,
    FinishReason,
    PromptReference,
    Provenance,
    Reply,
    TokenUsage,
)
from prosa.domain.turn import Turn

NOON = datetime(2026, 3, 2, 12, 0, 0, 123456, tzinfo=UTC)
TIME_TO_ANSWER = timedelta(seconds=25)
USAGE = TokenUsage(input_tokens=21, output_tokens=4, cached_input_tokens=3)
PROMPT = PromptReference(name="support_agent", version="3", digest="d" * 64)


class VirtualClock:
    """A clock that stands still until a test moves it."""

    def __init__(self, now: datetime = NOON) -> None:
        self.now = now
        self.new_hex = time_ordered(self)

    def __call__(self) -> datetime:
        """Tell the present instant."""
        return self.now

    def advance(self, seconds: float) -> None:
        """Move on."""
        self.now += timedelta(seconds=seconds)

    @property
    def moment(self) -> Moment:
        """The present instant, with identifiers for what happens in it."""
        return Moment(now=self.now, new_hex=self.new_hex)


def a_tenant() -> TenantId:
    """Make up a tenant that no other test has."""
    return TenantId(f"tenant-{uuid4().hex}")


def a_conversation(
    clock: VirtualClock,
    tenant_id: TenantId,
    *,
    customer_id: str | None = "customer-7",
    channel: str | None = "web",
    metadata: Mapping[str, str] | None = None,
) -> Conversation:
    """Start a conversation."""
    return Conversation.start(
        tenant_id=tenant_id,
        customer_id=customer_id,
        channel=channel,
        metadata=metadata or {},
        at=clock.moment,
    )


def claim(conversation: Conversation, clock: VirtualClock, text: str = "Cadê meu pedido?") -> Turn:
    """Claim a turn for a customer's message."""
    return conversation.claim(
        text,
        metadata={},
        deadline=clock.now + TIME_TO_ANSWER,
        caller_waits=True,
        at=clock.moment,
    )


def a_reply(text: str = "Saiu para entrega.") -> Reply:
    """Make a model's reply."""
    return Reply(
        parts=(Text(text=text),),
        finish_reason=FinishReason.STOP,
        provider="openai",
        model="gpt-4o-mini",
        usage=USAGE,
    )


def a_call(purpose: CallPurpose = CallPurpose.GENERATE) -> Call:
    """Make an answered call to a provider."""
    return Call(purpose=purpose, provider="openai", model="gpt-4o-mini", usage=USAGE)


def a_message(sequence: int, role: Role, text: str, *, refused: bool = False) -> Message:
    """Make a stored message; `refused` makes it the answer to one that no model was shown."""
    provenance = Provenance(
        finish_reason=FinishReason.CONTENT_FILTER if refused else FinishReason.STOP,
        provider="prosa" if refused else "openai",
        model="canned_reply" if refused else "gpt-4o-mini",
        degraded=False,
        usage=USAGE,
        prompt=None if refused else PROMPT,
    )
    return Message(
        id=MessageId(f"msg_{sequence:032x}"),
        conversation_id=ConversationId("conv_" + "0" * 32),
        turn_id=TurnId("turn_" + "0" * 32),
        sequence=sequence,
        role=role,
        parts=(Text(text=text),),
        created_at=NOON,
        provenance=provenance if role is Role.ASSISTANT else None,
    )
