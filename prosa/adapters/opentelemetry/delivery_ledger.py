"""A delivery ledger, seen: it is asked and told within the trace of the reply."""

from collections.abc import Coroutine
from typing import Any

from prosa.adapters.opentelemetry import names
from prosa.adapters.opentelemetry.database_spans import DatabaseSpans
from prosa.application.ports.delivery_ledger import Delivery, DeliveryLedger
from prosa.domain.identifiers import MessageId, TenantId


class TracedDeliveryLedger(DeliveryLedger):
    """Remembers deliveries; see the port."""

    def __init__(self, ledger: DeliveryLedger, spans: DatabaseSpans) -> None:
        self._ledger = ledger
        self._spans = spans

    def find(
        self, tenant_id: TenantId, reply_id: MessageId
    ) -> Coroutine[Any, Any, Delivery | None]:
        """Find the delivery of a reply."""
        return self._spans.of(names.FIND_DELIVERY, self._ledger.find(tenant_id, reply_id))

    def add(self, delivery: Delivery) -> Coroutine[Any, Any, None]:
        """Remember a delivery."""
        return self._spans.of(names.ADD_DELIVERY, self._ledger.add(delivery))
