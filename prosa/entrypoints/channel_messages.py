"""What channels push: `conversation.message.received.v1`, checked where it is read."""

from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from prosa.application.accept_turn import CustomerMessage
from prosa.domain.identifiers import ConversationId, TenantId
from prosa.entrypoints.customer_fields import (
    CONVERSATION_ID,
    KEY,
    CustomerId,
    CustomerText,
    Metadata,
    Name,
    Strict,
)

MESSAGE_RECEIVED = "conversation.message.received.v1"
CALLER = "channel:"
"""What the caller's name begins with; the channel follows. No HTTP caller is named so."""


class MessageReceivedData(Strict):
    """`data` of `conversation.message.received.v1`."""

    text: CustomerText
    conversation_id: Annotated[
        str | None,
        Field(pattern=CONVERSATION_ID, description="The conversation; without it, one is started."),
    ] = None
    customer_id: CustomerId = None
    metadata: Metadata = Field(default_factory=dict)


class MessageReceived(BaseModel):
    """A customer wrote in a channel. Its `source` and `id` make its idempotency key."""

    # CloudEvents lets whoever is on the way add attributes; what is ours is strict.
    model_config = ConfigDict(frozen=True, strict=True, extra="ignore")

    specversion: Literal["1.0"]
    type: Literal["conversation.message.received.v1"]
    id: str = Field(
        pattern=KEY,
        description="The channel's own id of the message: printable ASCII.",
    )
    source: Name = Field(description="The channel, as you call it: `whatsapp`.")
    tenantid: Name = Field(description="Whose customer wrote.")
    time: AwareDatetime | None = Field(default=None, description="When the customer wrote.")
    datacontenttype: Literal["application/json"] = "application/json"
    dataschema: Literal["urn:prosa:event:conversation.message.received.v1"] | None = Field(
        default=None, description="The schema's name, where you want to say it."
    )
    data: MessageReceivedData

    def as_customer_message(self) -> CustomerMessage:
        """Say it as the application does; nobody waits for the answer."""
        conversation_id = self.data.conversation_id
        return CustomerMessage(
            text=self.data.text,
            tenant_id=TenantId(self.tenantid),
            conversation_id=ConversationId(conversation_id) if conversation_id else None,
            customer_id=self.data.customer_id,
            channel=self.source,
            metadata=self.data.metadata,
            caller=f"{CALLER}{self.source}",
            idempotency_key=self.id,
            caller_waits=False,
        )
