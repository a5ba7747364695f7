"""Crashed turns in their table, of all tenants."""

from datetime import datetime

from sqlalchemy import bindparam, select, text

from prosa.adapters.sql.database import Database
from prosa.adapters.sql.dialect import compiled
from prosa.adapters.sql.tables import turns
from prosa.application.ports.expired_turns import ExpiredTurn, ExpiredTurns

_FIND = (
    select(turns.c.tenant_id, turns.c.id)
    # To the letter as the index has it, which holds running turns only.
    .where(text("status = 'running'"), turns.c.lease_until <= bindparam("now"))
    .order_by(turns.c.lease_until)
    .limit(bindparam("limit"))
)


class SqlExpiredTurns(ExpiredTurns):
    """Finds them by the index of running turns."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, *, now: datetime, limit: int) -> tuple[ExpiredTurn, ...]:
        """Select them in the order of their leases."""
        dialect = self._database.dialect
        statement = compiled(_FIND, dialect)
        values = statement.values(now=dialect.instant(now), limit=limit)
        async with self._database.lending() as connection:
            rows = await connection.fetch(statement.sql, values)
        return tuple(
            ExpiredTurn(tenant_id=tenant_id, turn_id=turn_id) for tenant_id, turn_id in rows
        )
