"""An attempt with its turn and conversation."""

from typing import Any

from sqlalchemy import Select, and_, bindparam, select

from prosa.adapters.sql.statements.loading import behind_tenant, history_of, messages_of_turn
from prosa.adapters.sql.tables import attempts, conversations, turns


def get() -> Select[Any]:
    """Select a turn with its conversation, and what was saved of the attempt."""
    of_turn = and_(
        conversations.c.tenant_id == turns.c.tenant_id,
        conversations.c.id == turns.c.conversation_id,
    )
    of_attempt = and_(
        attempts.c.tenant_id == turns.c.tenant_id,
        attempts.c.turn_id == turns.c.id,
        attempts.c.number == bindparam("number"),
    )
    joined = turns.join(conversations, of_turn).outerjoin(attempts, of_attempt)
    return (
        select(
            conversations,
            attempts.c.found,
            history_of(conversations),
            *behind_tenant(turns),
            *messages_of_turn(),
        )
        .select_from(joined)
        .where(turns.c.tenant_id == bindparam("tenant_id"), turns.c.id == bindparam("turn_id"))
    )
