"""Where replies go that nobody waits for: out to the channel that the customer writes from."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar, Protocol

from prosa.domain.errors import PortFailure
from prosa.domain.identifiers import ConversationId, MessageId, TenantId, TurnId


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingReply:
    """A stored reply on its way to the customer.

    `message_id` is the customer's message that it answers, and `metadata` what came with that.
    """

    id: MessageId
    tenant_id: TenantId
    conversation_id: ConversationId
    turn_id: TurnId
    message_id: MessageId
    channel: str | None
    customer_id: str | None
    metadata: Mapping[str, str]
    text: str
    created_at: datetime


class ReplyOutlet(Protocol):
    """Takes replies, in order within a conversation; one that is sent twice may arrive twice."""

    async def send(self, reply: OutgoingReply) -> None:
        """Hand a reply over. Raises ReplyOutletError where it is not known that it was taken."""

    async def check(self) -> None:
        """See that it is there and may be used. Raises ReplyOutletError."""


class ReplyOutletError(PortFailure):
    """The outlet could not be reached, or refused."""

    transient: ClassVar[bool] = True
