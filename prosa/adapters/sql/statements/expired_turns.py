"""Turns that crashed, of all tenants."""

from typing import Any

from sqlalchemy import Select, bindparam, select, text

from prosa.adapters.sql.tables import turns


def find() -> Select[Any]:
    """Select them in the order of their leases."""
    return (
        select(turns.c.tenant_id, turns.c.id)
        # To the letter as the index has it, which holds running turns only.
        .where(text("status = 'running'"), turns.c.lease_until <= bindparam("now"))
        .order_by(turns.c.lease_until)
        .limit(bindparam("limit"))
    )
