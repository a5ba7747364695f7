"""Conversations, turns and messages, for display."""

from typing import Any

from sqlalchemy import ColumnElement, Select, bindparam, select

from prosa.adapters.sql.statements.loading import behind_tenant, messages_of_turn
from prosa.adapters.sql.tables import conversations, messages, turns


def one() -> Select[Any]:
    """Select the header of a conversation."""
    return select(conversations).where(
        conversations.c.tenant_id == bindparam("tenant_id"),
        conversations.c.id == bindparam("conversation_id"),
    )


def turn() -> Select[Any]:
    """Select a turn and its messages."""
    return select(*behind_tenant(turns), *messages_of_turn()).where(
        turns.c.tenant_id == bindparam("tenant_id"), turns.c.id == bindparam("turn_id")
    )


def many(criteria: tuple[str, ...], behind: bool, ascending: bool) -> Select[Any]:  # noqa: FBT001  a cache key is positional
    """Select conversations that meet the criteria, each compared with the value of its name."""
    columns = conversations.c
    found = select(conversations).where(
        columns.tenant_id == bindparam("tenant_id"),
        *(columns[name] == bindparam(name) for name in criteria),
    )
    if behind:
        found = found.where(_behind(columns.id, bindparam("after"), ascending=ascending))
    return _ordered(found, columns.id, ascending=ascending)


def messages_of(behind: bool, ascending: bool) -> Select[Any]:  # noqa: FBT001  a cache key is positional
    """Select messages of a conversation, behind the one named `after` where there is one."""
    columns = messages.c
    found = select(*behind_tenant(messages)).where(
        columns.tenant_id == bindparam("tenant_id"),
        columns.conversation_id == bindparam("conversation_id"),
    )
    if behind:
        named = messages.alias("named")
        place = (
            select(named.c.sequence)
            .where(
                named.c.tenant_id == bindparam("tenant_id"),
                named.c.conversation_id == bindparam("conversation_id"),
                named.c.id == bindparam("after"),
            )
            .scalar_subquery()
        )
        found = found.where(_behind(columns.sequence, place, ascending=ascending))
    return _ordered(found, columns.sequence, ascending=ascending)


def _behind(
    column: ColumnElement[Any], place: ColumnElement[Any], *, ascending: bool
) -> ColumnElement[bool]:
    return column > place if ascending else column < place


def _ordered(found: Select[Any], column: ColumnElement[Any], *, ascending: bool) -> Select[Any]:
    return found.order_by(column if ascending else column.desc()).limit(bindparam("limit"))
