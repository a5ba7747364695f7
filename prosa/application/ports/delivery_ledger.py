"""Which replies have been sent to their channel."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from prosa.domain.identifiers import MessageId, TenantId


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A reply that the channel's outlet took, and when."""

    tenant_id: TenantId
    reply_id: MessageId
    delivered_at: datetime


class DeliveryLedger(Protocol):
    """Remembers deliveries for ever. Each method raises StorageUnavailable."""

    async def find(self, tenant_id: TenantId, reply_id: MessageId) -> Delivery | None:
        """Find the delivery of a reply."""

    async def add(self, delivery: Delivery) -> None:
        """Remember a delivery; the first one of a reply stays."""
