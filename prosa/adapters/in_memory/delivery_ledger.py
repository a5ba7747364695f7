"""Deliveries remembered in this process."""

from prosa.application.ports.delivery_ledger import Delivery, DeliveryLedger
from prosa.domain.identifiers import MessageId, TenantId


class InMemoryDeliveryLedger(DeliveryLedger):
    """Remembers for as long as it lives."""

    def __init__(self) -> None:
        self._deliveries: dict[tuple[TenantId, MessageId], Delivery] = {}

    async def find(self, tenant_id: TenantId, reply_id: MessageId) -> Delivery | None:
        """Look it up."""
        return self._deliveries.get((tenant_id, reply_id))

    async def add(self, delivery: Delivery) -> None:
        """Keep the first."""
        self._deliveries.setdefault((delivery.tenant_id, delivery.reply_id), delivery)
