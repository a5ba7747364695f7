"""Which replies went out."""

from typing import Any

from sqlalchemy import Select, TextClause, bindparam, select, text

from prosa.adapters.sql.tables import deliveries


def find() -> Select[Any]:
    """Select a delivery by its key."""
    return select(deliveries.c.delivered_at).where(
        deliveries.c.tenant_id == bindparam("tenant_id"),
        deliveries.c.reply_id == bindparam("reply_id"),
    )


def add() -> TextClause:
    """Insert a delivery, unless it is there."""
    # Written out: SQLAlchemy has this for each dialect apart.
    return text(
        "insert into deliveries (tenant_id, reply_id, delivered_at)"
        " values (:tenant_id, :reply_id, :delivered_at) on conflict do nothing returning 1"
    )
