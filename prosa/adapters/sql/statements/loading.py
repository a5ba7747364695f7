"""A conversation's header, the turns in question and its newest messages, at once."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    Integer,
    ScalarSelect,
    Select,
    bindparam,
    or_,
    select,
)

from prosa.adapters.sql.statements.elements import given_rows, json_array, json_rows, json_value
from prosa.adapters.sql.tables import Json as JsonColumn
from prosa.adapters.sql.tables import conversations, messages, turns

_said = messages.alias("said")
_replied = messages.alias("replied")
"""A turn's two messages."""

_running = turns.c.id == conversations.c.running_turn_id


def by_id() -> Select[Any]:
    """Load a conversation by its own id."""
    return _load(conversations.c.id == bindparam("conversation_id"), _running)


def of_array() -> Select[Any]:
    """Load conversations by their own ids, for Postgres: for each place a JSON array, or null.

    What is asked for are rows of a place, a tenant, an id, and how much history. Each is a
    sub-select by the full key and no join, which Postgres might plan to read whole tables while
    they are small.
    """
    columns = conversations.c
    types = [Integer(), columns.tenant_id.type, columns.id.type, Integer()]
    given = given_rows("asked_for", types)
    parts = [*map(_for_json, columns), _turns_in_question(_running)]
    found = (
        select(json_array(*parts, history_of(conversations, given.c.c3)))
        .where(columns.tenant_id == given.c.c1, columns.id == given.c.c2)
        .scalar_subquery()
    )
    return select(given.c.c0, found)


def by_turn() -> Select[Any]:
    """Load a conversation by the id of one of its turns."""
    asked_for = turns.alias("asked_for")
    conversation_id = (
        select(asked_for.c.conversation_id)
        .where(
            asked_for.c.tenant_id == bindparam("tenant_id"),
            asked_for.c.id == bindparam("turn_id"),
        )
        .scalar_subquery()
    )
    wanted = or_(turns.c.id == bindparam("turn_id"), _running)
    return _load(conversations.c.id == conversation_id, wanted)


def behind_tenant(table: FromClause) -> Sequence[ColumnElement[Any]]:
    """List a table's columns but the tenant, which stands first in every table."""
    return list(table.c)[1:]


def messages_of_turn() -> Sequence[ColumnElement[Any]]:
    """Sub-select a turn's two messages, as JSON arrays; null where there is no reply.

    Not joined: a join that Postgres plans while the tables are small may begin with the messages,
    and so read all that a tenant has for as long as it keeps the plan.
    """
    return [
        json_value(_message_of_turn(_said, turns.c.message_sequence)),
        json_value(_message_of_turn(_replied, turns.c.reply_sequence)),
    ]


def history_of(header: FromClause, history: ColumnElement[int] | None = None) -> ScalarSelect[Any]:
    """Sub-select of the newest `history` messages, by the header's own count of them."""
    if history is None:
        history = bindparam("history", type_=Integer())
    return (
        select(json_rows(json_array(*_behind_tenant_for_json(messages))))
        .where(
            messages.c.tenant_id == header.c.tenant_id,
            messages.c.conversation_id == header.c.id,
            messages.c.sequence > header.c.message_count - history,
        )
        .correlate_except(messages)
        .scalar_subquery()
    )


def _message_of_turn(message: FromClause, sequence: ColumnElement[Any]) -> ScalarSelect[Any]:
    return (
        select(json_array(*_behind_tenant_for_json(message)))
        .where(
            message.c.tenant_id == turns.c.tenant_id,
            message.c.conversation_id == turns.c.conversation_id,
            message.c.sequence == sequence,
        )
        .scalar_subquery()
    )


def _behind_tenant_for_json(table: FromClause) -> list[Any]:
    return [_for_json(column) for column in behind_tenant(table)]


def _for_json(column: ColumnElement[Any]) -> ColumnElement[Any]:
    return json_value(column) if column.type is JsonColumn else column


def _turns_in_question(wanted: ColumnElement[bool]) -> ScalarSelect[Any]:
    columns = [*_behind_tenant_for_json(turns), *messages_of_turn()]
    return (
        select(json_rows(json_array(*columns)))
        .where(turns.c.tenant_id == conversations.c.tenant_id, wanted)
        .scalar_subquery()
    )


def _load(found: ColumnElement[bool], wanted: ColumnElement[bool]) -> Select[Any]:
    return select(conversations, _turns_in_question(wanted), history_of(conversations)).where(
        conversations.c.tenant_id == bindparam("tenant_id"), found
    )
