"""What every delivery ledger promises."""

import asyncio
from datetime import timedelta

from prosa.application.ports.delivery_ledger import Delivery, DeliveryLedger
from prosa.domain.identifiers import MessageId, TenantId
from prosa.testing.builders import NOON, a_tenant

REPLY = MessageId(f"msg_{7:032x}")


class DeliveryLedgerContract:
    """Subclass it with a fixture `ledger`."""

    async def test_what_was_not_delivered_is_not_found(self, ledger: DeliveryLedger) -> None:
        assert await ledger.find(a_tenant(), REPLY) is None

    async def test_a_delivery_is_found(self, ledger: DeliveryLedger) -> None:
        delivery = a_delivery(a_tenant())
        await ledger.add(delivery)
        assert await ledger.find(delivery.tenant_id, REPLY) == delivery

    async def test_the_first_delivery_of_a_reply_stays(self, ledger: DeliveryLedger) -> None:
        first = a_delivery(a_tenant())
        await ledger.add(first)
        await ledger.add(a_delivery(first.tenant_id, seconds=60))
        assert await ledger.find(first.tenant_id, REPLY) == first

    async def test_two_may_add_it_at_once(self, ledger: DeliveryLedger) -> None:
        delivery = a_delivery(a_tenant())
        await asyncio.gather(*(ledger.add(delivery) for _ in range(5)))
        assert await ledger.find(delivery.tenant_id, REPLY) == delivery

    async def test_no_tenant_sees_what_was_delivered_for_another(
        self, ledger: DeliveryLedger
    ) -> None:
        await ledger.add(a_delivery(a_tenant()))
        assert await ledger.find(a_tenant(), REPLY) is None


def a_delivery(tenant: TenantId, *, seconds: float = 0) -> Delivery:
    """Make a delivery of the one reply."""
    at = NOON + timedelta(seconds=seconds)
    return Delivery(tenant_id=tenant, reply_id=REPLY, delivered_at=at)
