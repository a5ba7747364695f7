"""The outbox in its table: entries are lent by one statement, so nothing is held meanwhile."""

from collections.abc import Sequence
from datetime import datetime
from operator import itemgetter
from typing import Any

from sqlalchemy import (
    ClauseElement,
    ColumnElement,
    Integer,
    Text,
    and_,
    any_,
    bindparam,
    column,
    func,
    literal_column,
    or_,
    select,
    text,
    true,
    update,
)
from sqlalchemy.dialects.postgresql import ARRAY
from sqlalchemy.sql.dml import ReturningUpdate

from prosa.adapters.sql.connection import Rows, SqlConnection
from prosa.adapters.sql.database import Database
from prosa.adapters.sql.dialect import POSTGRES, SQLITE, Value, compiled
from prosa.adapters.sql.row_mapping import as_instant, to_json
from prosa.adapters.sql.tables import outbox
from prosa.application.ports.event_bus import PublishedEvent
from prosa.application.ports.outbox import Backlog, FailedEntry, Outbox, OutboxEntry
from prosa.domain.identifiers import EventId


class SqlOutbox(Outbox):
    """Every method is one statement, but for failures, which are marked one by one."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def take(self, *, limit: int, now: datetime, until: datetime) -> tuple[OutboxEntry, ...]:
        """Put off when they may be tried next: that is the loan."""
        instant = self._database.dialect.instant
        rows = await self._run(_TAKE, limit=limit, now=instant(now), until=instant(until))
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
        ((waiting, oldest, parked),) = await self._run(_BACKLOG)
        return Backlog(waiting=waiting, oldest=oldest and as_instant(oldest), parked=parked)

    async def unpark(self) -> int:
        """Clear what parked them."""
        return len(await self._run(_UNPARK))

    async def _mark_published(
        self, connection: SqlConnection, ids: Sequence[EventId], now: datetime
    ) -> None:
        dialect = self._database.dialect
        listed: list[str] | str = list(ids) if dialect.is_postgres else to_json(ids)
        statement = compiled(_PUBLISHED[dialect], dialect)
        await connection.fetch(
            statement.sql, statement.values(ids=listed, now=dialect.instant(now))
        )

    async def _mark_failed(
        self, connection: SqlConnection, entry: FailedEntry, now: datetime
    ) -> None:
        dialect = self._database.dialect
        statement = compiled(_FAILED, dialect)
        values = statement.values(
            id=entry.refused.id,
            failures=entry.tries,
            again=dialect.instant(entry.try_again_at),
            parked=dialect.instant(now if entry.try_again_at is None else None),
            reason=entry.refused.reason,
        )
        await connection.fetch(statement.sql, values)

    async def _run(self, statement: ClauseElement, **values: Value) -> Rows:
        prepared = compiled(statement, self._database.dialect)
        async with self._database.lending() as connection:
            return await connection.fetch(prepared.sql, prepared.values(**values))


def _entry_of(row: Sequence[Any]) -> OutboxEntry:
    _, _, event_id, kind, envelope, tries = row
    return OutboxEntry(
        event=PublishedEvent(id=EventId(event_id), type=kind, envelope=envelope), tries=tries
    )


_WAITING = (outbox.c.published_at.is_(None), outbox.c.parked_at.is_(None))


def _take() -> ReturningUpdate[Any]:
    """Lend what is due.

    In SQLite there is one writer at a time, and no lock on rows to skip.
    """
    before = outbox.alias("before")
    # A value, not `exists`: that would be planned as a join, and by figures from when nothing
    # waited as one that compares everything that waits with everything that waits.
    held_up = (
        select(and_(before.c.published_at.is_(None), before.c.parked_at.is_(None)))
        .where(
            before.c.tenant_id == outbox.c.tenant_id,
            before.c.conversation_id == outbox.c.conversation_id,
            before.c.sequence == outbox.c.sequence - literal_column("1"),
        )
        .scalar_subquery()
    )
    now = bindparam("now", type_=outbox.c.next_try_at.type)
    due = (
        select(outbox.c.event_id)
        .where(
            *_WAITING,
            or_(outbox.c.next_try_at.is_(None), outbox.c.next_try_at <= now),
            held_up.is_not(true()),
        )
        .order_by(outbox.c.created_at)
        .limit(bindparam("limit", type_=Integer()))
        .with_for_update(skip_locked=True)
        .cte("due")
    )
    return (
        update(outbox)
        .where(outbox.c.event_id.in_(select(due.c.event_id)))
        .values(next_try_at=bindparam("until", type_=outbox.c.next_try_at.type))
        .returning(
            outbox.c.created_at,
            outbox.c.sequence,
            outbox.c.event_id,
            outbox.c.type,
            outbox.c.envelope,
            outbox.c.tries,
        )
    )


def _mark_published(is_among: ColumnElement[bool]) -> ReturningUpdate[Any]:
    return (
        update(outbox)
        .where(is_among)
        .values(published_at=bindparam("now", type_=outbox.c.published_at.type))
        .returning(literal_column("1"))
    )


_TAKE = _take()
_PUBLISHED = {
    POSTGRES: _mark_published(outbox.c.event_id == any_(bindparam("ids", type_=ARRAY(Text())))),
    SQLITE: _mark_published(
        outbox.c.event_id.in_(text("select value from json_each(:ids)").columns(column("value")))
    ),
}
_FAILED: ReturningUpdate[Any] = (
    update(outbox)
    .where(outbox.c.event_id == bindparam("id"))
    .values(
        tries=bindparam("failures", type_=Integer()),
        next_try_at=bindparam("again", type_=outbox.c.next_try_at.type),
        parked_at=bindparam("parked", type_=outbox.c.parked_at.type),
        last_error=bindparam("reason", type_=outbox.c.last_error.type),
    )
    .returning(literal_column("1"))
)
_IS_PARKED = outbox.c.parked_at.is_not(None)
_BACKLOG = select(
    func.count().filter(~_IS_PARKED),
    func.min(outbox.c.created_at).filter(~_IS_PARKED),
    func.count().filter(_IS_PARKED),
).where(outbox.c.published_at.is_(None))
_UNPARK = (
    update(outbox)
    .where(outbox.c.published_at.is_(None), _IS_PARKED)
    .values(parked_at=None, next_try_at=None, tries=literal_column("0"))
    .returning(outbox.c.event_id)
)
