"""Deliveries in their table."""

from prosa.adapters.sql.compiled import compiled
from prosa.adapters.sql.database import Database
from prosa.adapters.sql.row_mapping import as_instant
from prosa.application.ports.delivery_ledger import Delivery, DeliveryLedger
from prosa.domain.identifiers import MessageId, TenantId


class SqlDeliveryLedger(DeliveryLedger):
    """Each method is one statement."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, tenant_id: TenantId, reply_id: MessageId) -> Delivery | None:
        """Select it by its key."""
        statement = compiled(self._database.dialect, "deliveries.find")
        values = statement.values(tenant_id=tenant_id, reply_id=reply_id)
        async with self._database.lending() as connection:
            rows = await connection.fetch(statement.sql, values)
        if not rows:
            return None
        delivered_at = as_instant(rows[0][0])
        return Delivery(tenant_id=tenant_id, reply_id=reply_id, delivered_at=delivered_at)

    async def add(self, delivery: Delivery) -> None:
        """Insert it, unless it is there."""
        dialect = self._database.dialect
        statement = compiled(dialect, "deliveries.add")
        values = statement.values(
            tenant_id=delivery.tenant_id,
            reply_id=delivery.reply_id,
            delivered_at=dialect.instant(delivery.delivered_at),
        )
        async with self._database.lending() as connection:
            await connection.fetch(statement.sql, values)
