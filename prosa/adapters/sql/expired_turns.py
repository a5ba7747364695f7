"""Crashed turns in their table, of all tenants."""

from datetime import datetime

from prosa.adapters.sql.compiled import compiled
from prosa.adapters.sql.database import Database
from prosa.application.ports.expired_turns import ExpiredTurn, ExpiredTurns


class SqlExpiredTurns(ExpiredTurns):
    """Finds them by the index of running turns."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, *, now: datetime, limit: int) -> tuple[ExpiredTurn, ...]:
        """Select them in the order of their leases."""
        dialect = self._database.dialect
        statement = compiled(dialect, "expired_turns.find")
        values = statement.values(now=dialect.instant(now), limit=limit)
        async with self._database.lending() as connection:
            rows = await connection.fetch(statement.sql, values)
        return tuple(
            ExpiredTurn(tenant_id=tenant_id, turn_id=turn_id) for tenant_id, turn_id in rows
        )
