"""The load: a conversation's header, the turns in question and its newest messages, at once.

Turns and messages come as JSON arrays that the database builds, so that one row brings all of it,
however many there are.
"""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    FromClause,
    ScalarSelect,
    Select,
    bindparam,
    or_,
    select,
)

from prosa.adapters.sql.connection import SqlConnection
from prosa.adapters.sql.dialect import (
    SqlDialect,
    compiled,
    json_array,
    json_rows,
    json_value,
)
from prosa.adapters.sql.row_mapping import Json, as_json, header_of, message_of, turn_of
from prosa.adapters.sql.tables import Json as JsonColumn
from prosa.adapters.sql.tables import conversations, messages, turns
from prosa.domain.conversation import Conversation
from prosa.domain.identifiers import ConversationId, TenantId, TurnId
from prosa.domain.message import Message
from prosa.domain.turn import Turn

HEADER_COLUMNS = len(conversations.c)
TURN_COLUMNS = len(turns.c) - 1

_said = messages.alias("said")
_replied = messages.alias("replied")
"""A turn's two messages."""


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


def turn_from(values: Sequence[Any]) -> Turn:
    """Map the columns of `turns` behind its tenant, and its two messages, to a turn."""
    message, reply = as_json(values[TURN_COLUMNS]), as_json(values[TURN_COLUMNS + 1])
    return turn_of(values[:TURN_COLUMNS], message, reply)


def history_from(array: Json) -> list[Message]:
    """Map a JSON array of messages to messages, oldest first."""
    return [message_of(values) for values in sorted(as_json(array), key=_sequence_of)]


def history_of(header: FromClause) -> ScalarSelect[Any]:
    """Sub-select of the newest `:history` messages, by the header's own count of them."""
    return (
        select(json_rows(json_array(*_for_json(messages))))
        .where(
            messages.c.tenant_id == header.c.tenant_id,
            messages.c.conversation_id == header.c.id,
            messages.c.sequence > header.c.message_count - bindparam("history"),
        )
        .scalar_subquery()
    )


async def load(
    connection: SqlConnection,
    dialect: SqlDialect,
    tenant_id: TenantId,
    *,
    conversation_id: ConversationId | None = None,
    turn_id: TurnId | None = None,
    history: int,
) -> Conversation | None:
    """Load a conversation by its own id or by that of one of its turns, from one snapshot."""
    statement = compiled(_BY_TURN if turn_id else _BY_ID, dialect)
    values = statement.values(
        tenant_id=tenant_id,
        conversation_id=conversation_id,
        turn_id=turn_id,
        history=history,
    )
    rows = await connection.fetch(statement.sql, values)
    if not rows:
        return None
    row = rows[0]
    return Conversation.restore(
        header_of(row),
        turns=[turn_from(values) for values in as_json(row[HEADER_COLUMNS])],
        history=history_from(row[HEADER_COLUMNS + 1]),
    )


def _sequence_of(values: Sequence[Any]) -> int:
    sequence: int = values[1]
    return sequence


def _message_of_turn(message: FromClause, sequence: ColumnElement[Any]) -> ScalarSelect[Any]:
    return (
        select(json_array(*_for_json(message)))
        .where(
            message.c.tenant_id == turns.c.tenant_id,
            message.c.conversation_id == turns.c.conversation_id,
            message.c.sequence == sequence,
        )
        .scalar_subquery()
    )


def _for_json(table: FromClause) -> list[Any]:
    return [
        json_value(column) if column.type is JsonColumn else column
        for column in behind_tenant(table)
    ]


def _turns_in_question(wanted: ColumnElement[bool]) -> ScalarSelect[Any]:
    columns = [*_for_json(turns), *messages_of_turn()]
    return (
        select(json_rows(json_array(*columns)))
        .where(turns.c.tenant_id == conversations.c.tenant_id, wanted)
        .scalar_subquery()
    )


def _load(found: ColumnElement[bool], wanted: ColumnElement[bool]) -> Select[Any]:
    return select(conversations, _turns_in_question(wanted), history_of(conversations)).where(
        conversations.c.tenant_id == bindparam("tenant_id"), found
    )


_running = turns.c.id == conversations.c.running_turn_id

_BY_ID = _load(conversations.c.id == bindparam("conversation_id"), _running)

_asked_for = turns.alias("asked_for")
_BY_TURN = _load(
    conversations.c.id
    == select(_asked_for.c.conversation_id)
    .where(
        _asked_for.c.tenant_id == bindparam("tenant_id"),
        _asked_for.c.id == bindparam("turn_id"),
    )
    .scalar_subquery(),
    or_(turns.c.id == bindparam("turn_id"), _running),
)
