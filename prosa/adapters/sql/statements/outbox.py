"""Events that wait to be published."""

from typing import Any

from sqlalchemy import (
    ColumnElement,
    Integer,
    Select,
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

from prosa.adapters.sql.tables import outbox

_IS_PARKED = outbox.c.parked_at.is_not(None)


def take() -> ReturningUpdate[Any]:
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
            outbox.c.published_at.is_(None),
            outbox.c.parked_at.is_(None),
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


def mark_published_of_array() -> ReturningUpdate[Any]:
    """Mark what Postgres is given as an array."""
    return _mark_published(outbox.c.event_id == any_(bindparam("ids", type_=ARRAY(Text()))))


def mark_published_of_json() -> ReturningUpdate[Any]:
    """Mark what SQLite is given as JSON."""
    listed = text("select value from json_each(:ids)").columns(column("value"))
    return _mark_published(outbox.c.event_id.in_(listed))


def mark_failed() -> ReturningUpdate[Any]:
    """Mark a failure."""
    return (
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


def backlog() -> Select[int, Any, int]:
    """Count what waits and what is parked."""
    return select(
        func.count().filter(~_IS_PARKED),
        func.min(outbox.c.created_at).filter(~_IS_PARKED),
        func.count().filter(_IS_PARKED),
    ).where(outbox.c.published_at.is_(None))


def unpark() -> ReturningUpdate[Any]:
    """Have what is parked tried again."""
    return (
        update(outbox)
        .where(outbox.c.published_at.is_(None), _IS_PARKED)
        .values(parked_at=None, next_try_at=None, tries=literal_column("0"))
        .returning(outbox.c.event_id)
    )


def _mark_published(is_among: ColumnElement[bool]) -> ReturningUpdate[Any]:
    return (
        update(outbox)
        .where(is_among)
        .values(published_at=bindparam("now", type_=outbox.c.published_at.type))
        .returning(literal_column("1"))
    )
