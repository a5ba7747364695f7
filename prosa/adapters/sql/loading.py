"""The load: a conversation's header, the turns in question and its newest messages, at once.

Turns and messages come as JSON arrays that the database builds, so that one row brings all of it,
however many there are.
"""

from collections.abc import Sequence
from typing import Any

from prosa.adapters.sql.compiled import compiled
from prosa.adapters.sql.database import Database
from prosa.adapters.sql.dialect import Json
from prosa.adapters.sql.row_mapping import (
    HEADER_COLUMNS,
    TURN_COLUMNS,
    as_json,
    header_of,
    message_of,
    turn_of,
)
from prosa.domain.conversation import Conversation
from prosa.domain.identifiers import ConversationId, TenantId, TurnId
from prosa.domain.message import Message
from prosa.domain.turn import Turn


def turn_from(values: Sequence[Any]) -> Turn:
    """Map the columns of `turns` behind its tenant, and its two messages, to a turn."""
    message, reply = as_json(values[TURN_COLUMNS]), as_json(values[TURN_COLUMNS + 1])
    return turn_of(values[:TURN_COLUMNS], message, reply)


def history_from(array: Json) -> list[Message]:
    """Map a JSON array of messages to messages, oldest first."""
    return [message_of(values) for values in sorted(as_json(array), key=_sequence_of)]


async def load_by_id(
    database: Database, tenant_id: TenantId, conversation_id: ConversationId, history: int
) -> Conversation | None:
    """Load a conversation by its own id, from one snapshot."""
    return _conversation_of(await database.load(tenant_id, conversation_id, history))


async def load_by_turn(
    database: Database, tenant_id: TenantId, turn_id: TurnId, history: int
) -> Conversation | None:
    """Load a conversation by the id of one of its turns, from one snapshot."""
    statement = compiled(database.dialect, "loading.by_turn")
    values = statement.values(tenant_id=tenant_id, turn_id=turn_id, history=history)
    async with database.lending() as connection:
        rows = await connection.fetch(statement.sql, values)
    return _conversation_of(rows[0] if rows else None)


def _conversation_of(row: Sequence[Any] | None) -> Conversation | None:
    if row is None:
        return None
    return Conversation.restore(
        header_of(row),
        turns=[turn_from(values) for values in as_json(row[HEADER_COLUMNS])],
        history=history_from(row[HEADER_COLUMNS + 1]),
    )


def _sequence_of(values: Sequence[Any]) -> int:
    sequence: int = values[1]
    return sequence
