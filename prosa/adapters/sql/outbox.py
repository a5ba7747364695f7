"""The outbox in its table: entries are lent by one statement, so nothing is held meanwhile."""

from collections.abc import Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any

from prosa.adapters.sql.compiled import compiled
from prosa.adapters.sql.connection import Rows, SqlConnection
from prosa.adapters.sql.database import Database
from prosa.adapters.sql.dialect import Value, json_text
from prosa.adapters.sql.row_mapping import as_instant
from prosa.application.ports.event_bus import PublishedEvent
from prosa.application.ports.outbox import Backlog, FailedEntry, Outbox, OutboxEntry
from prosa.domain.identifiers import EventId

BY_THE_INDEX = (
    "select set_config('enable_bitmapscan', 'off', true), set_config('enable_seqscan', 'off', true)"
)
"""Has Postgres plan, within a transaction, to go along the index of what is not published.

That marks what it finds dead there, and passes over it the next time. A bitmap would visit each
event that was published since the last vacuum, again and again.
"""


class SqlOutbox(Outbox):
    """Marks failures one by one, and all else by one statement."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, *, limit: int, now: datetime, until: datetime) -> tuple[OutboxEntry, ...]:
        """Put off when they may be tried next: that is the loan."""
        dialect = self._database.dialect
        statement = compiled(dialect, "outbox.take")
        instant = dialect.instant
        values = statement.values(limit=limit, now=instant(now), until=instant(until))
        async with self._database.lending() as connection, connection.transaction():
            if dialect.is_postgres:
                await connection.fetch(BY_THE_INDEX, ())
            rows = await connection.fetch(statement.sql, values)
        # Which order an update returns is the planner's choice.
        return tuple(_entry_of(row) for row in sorted(rows, key=itemgetter(0, 1)))

    async def settle(
        self, *, published: Sequence[EventId], failed: Sequence[FailedEntry], now: datetime
    ) -> None:
        """Mark what is published, then each failure."""
        async with self._database.lending() as connection:
            if published:
                await self._mark_published(connection, published, now)
            for entry in failed:
                await self._mark_failed(connection, entry, now)

    async def backlog(self) -> Backlog:
        """Count by the index of what is not published."""
        ((waiting, oldest, parked),) = await self._run("outbox.backlog")
        return Backlog(waiting=waiting, oldest=oldest and as_instant(oldest), parked=parked)

    async def unpark(self) -> int:
        """Clear what parked them."""
        return len(await self._run("outbox.unpark"))

    async def _mark_published(
        self, connection: SqlConnection, ids: Sequence[EventId], now: datetime
    ) -> None:
        dialect = self._database.dialect
        listed: list[str] | str = list(ids) if dialect.is_postgres else json_text(ids)
        kind = "array" if dialect.is_postgres else "json"
        statement = compiled(dialect, f"outbox.mark_published_of_{kind}")
        await connection.fetch(
            statement.sql, statement.values(ids=listed, now=dialect.instant(now))
        )

    async def _mark_failed(
        self, connection: SqlConnection, entry: FailedEntry, now: datetime
    ) -> None:
        dialect = self._database.dialect
        statement = compiled(dialect, "outbox.mark_failed")
        values = statement.values(
            id=entry.refused.id,
            failures=entry.tries,
            again=dialect.instant(entry.try_again_at),
            parked=dialect.instant(now if entry.try_again_at is None else None),
            reason=entry.refused.reason,
        )
        await connection.fetch(statement.sql, values)

    async def _run(self, name: str, **values: Value) -> Rows:
        statement = compiled(self._database.dialect, name)
        async with self._database.lending() as connection:
            return await connection.fetch(statement.sql, statement.values(**values))


def _entry_of(row: Sequence[Any]) -> OutboxEntry:
    _, _, event_id, kind, envelope, tries = row
    return OutboxEntry(
        event=PublishedEvent(id=EventId(event_id), type=kind, envelope=envelope), tries=tries
    )
