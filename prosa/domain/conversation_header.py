"""A conversation without its messages: what a list shows and what a rule looks at."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from prosa.domain.errors import ConversationNotFound
from prosa.domain.identifiers import ConversationId, TenantId, TurnId


class ConversationStatus(StrEnum):
    """Whether a conversation takes messages."""

    OPEN = "open"
    CLOSED = "closed"


class Owner(StrEnum):
    """Who answers the customer."""

    ASSISTANT = "assistant"
    HUMAN = "human"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationHeader:
    """All of a conversation but its messages.

    `version` counts the saves, `event_count` the events, `running_turn_id` names the one turn that
    runs.
    """

    id: ConversationId
    tenant_id: TenantId
    status: ConversationStatus
    owner: Owner
    customer_id: str | None
    channel: str | None
    metadata: Mapping[str, str]
    created_at: datetime
    updated_at: datetime
    message_count: int = 0
    event_count: int = 0
    version: int = 0
    running_turn_id: TurnId | None = None

    def require_reachable(self, asking_customer_id: str | None) -> None:
        """Raise ConversationNotFound where a customer asks, and it is not theirs.

        None stands for who may reach every conversation of the tenant.
        """
        if asking_customer_id not in (None, self.customer_id):
            raise ConversationNotFound(self.id)

    @property
    def as_started(self) -> "ConversationHeader":
        """The header as it was when the conversation started, whatever came since."""
        return ConversationHeader(
            id=self.id,
            tenant_id=self.tenant_id,
            status=ConversationStatus.OPEN,
            owner=Owner.ASSISTANT,
            customer_id=self.customer_id,
            channel=self.channel,
            metadata=self.metadata,
            created_at=self.created_at,
            updated_at=self.created_at,
        )
