"""One customer's conversations: any other reads as if it did not exist."""

from dataclasses import replace

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


class OwnConversations(ConversationReader):
    """Reads what belongs to one customer; a turn and a list of messages take one read more."""

    def __init__(self, reader: ConversationReader, customer_id: str) -> None:
        self._reader = reader
        self._customer_id = customer_id

    async def get_conversation(
        self, tenant_id: TenantId, conversation_id: ConversationId
    ) -> ConversationHeader:
        """Get it where it is the customer's."""
        header = await self._reader.get_conversation(tenant_id, conversation_id)
        header.require_reachable(self._customer_id)
        return header

    async def get_turn(self, tenant_id: TenantId, turn_id: TurnId) -> Turn:
        """Get it where its conversation is the customer's."""
        turn = await self._reader.get_turn(tenant_id, turn_id)
        try:
            await self.get_conversation(tenant_id, turn.conversation_id)
        except ConversationNotFound:
            raise TurnNotFound(turn_id) from None
        return turn

    async def list_conversations(
        self,
        tenant_id: TenantId,
        matching: ConversationFilter,
        *,
        limit: int,
        after: ConversationId | None,
        ascending: bool,
    ) -> Page[ConversationHeader]:
        """List the customer's, whatever else is asked for."""
        return await self._reader.list_conversations(
            tenant_id,
            replace(matching, customer_id=self._customer_id),
            limit=limit,
            after=after,
            ascending=ascending,
        )

    async def list_messages(
        self,
        tenant_id: TenantId,
        conversation_id: ConversationId,
        *,
        limit: int,
        after: MessageId | None,
        ascending: bool,
    ) -> Page[Message]:
        """List them where the conversation is the customer's."""
        await self.get_conversation(tenant_id, conversation_id)
        return await self._reader.list_messages(
            tenant_id, conversation_id, limit=limit, after=after, ascending=ascending
        )
