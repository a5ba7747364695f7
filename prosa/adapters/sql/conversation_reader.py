"""Reads for display from the tables: one statement each, no lock."""

from typing import TypeVar

from prosa.adapters.sql.compiled import compiled
from prosa.adapters.sql.connection import Rows
from prosa.adapters.sql.database import Database
from prosa.adapters.sql.dialect import Argument, Value
from prosa.adapters.sql.loading import turn_from
from prosa.adapters.sql.row_mapping import header_of, message_of
from prosa.application.ports.conversation_reader import (
    ConversationFilter,
    ConversationReader,
    Page,
)
from prosa.domain.conversation_header import ConversationHeader
from prosa.domain.errors import ConversationNotFound, TurnNotFound
from prosa.domain.identifiers import ConversationId, MessageId, TenantId, TurnId
from prosa.domain.message import Message
from prosa.domain.turn import Turn

T = TypeVar("T")


class SqlConversationReader(ConversationReader):
    """Reads what is committed."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def get_conversation(
        self, tenant_id: TenantId, conversation_id: ConversationId
    ) -> ConversationHeader:
        """Select the header."""
        rows = await self._rows(
            "conversations.one", tenant_id=tenant_id, conversation_id=conversation_id
        )
        if not rows:
            raise ConversationNotFound(conversation_id)
        return header_of(rows[0])

    async def get_turn(self, tenant_id: TenantId, turn_id: TurnId) -> Turn:
        """Select the turn joined to its messages."""
        rows = await self._rows("conversations.turn", tenant_id=tenant_id, turn_id=turn_id)
        if not rows:
            raise TurnNotFound(turn_id)
        return turn_from(rows[0])

    async def list_conversations(
        self,
        tenant_id: TenantId,
        matching: ConversationFilter,
        *,
        limit: int,
        after: ConversationId | None,
        ascending: bool,
    ) -> Page[ConversationHeader]:
        """Select by identifier, which is by start, and one more than asked."""
        wanted: dict[str, Value] = {
            "status": matching.status and matching.status.value,
            "owner": matching.owner and matching.owner.value,
            "customer_id": matching.customer_id,
        }
        given = {name: value for name, value in wanted.items() if value is not None}
        rows = await self._rows(
            "conversations.many",
            tuple(given),
            after is not None,
            ascending,
            tenant_id=tenant_id,
            after=after,
            limit=limit + 1,
            **given,
        )
        return _page([header_of(row) for row in rows], limit)

    async def list_messages(
        self,
        tenant_id: TenantId,
        conversation_id: ConversationId,
        *,
        limit: int,
        after: MessageId | None,
        ascending: bool,
    ) -> Page[Message]:
        """Select by sequence, and one more than asked."""
        rows = await self._rows(
            "conversations.messages_of",
            after is not None,
            ascending,
            tenant_id=tenant_id,
            conversation_id=conversation_id,
            after=after,
            limit=limit + 1,
        )
        if not rows:
            await self.get_conversation(tenant_id, conversation_id)
        return _page([message_of(row) for row in rows], limit)

    async def _rows(self, name: str, *arguments: Argument, **values: Value) -> Rows:
        statement = compiled(self._database.dialect, name, *arguments)
        async with self._database.lending() as connection:
            return await connection.fetch(statement.sql, statement.values(**values))


def _page(items: list[T], limit: int) -> Page[T]:
    return Page(items=tuple(items[:limit]), has_more=len(items) > limit)
