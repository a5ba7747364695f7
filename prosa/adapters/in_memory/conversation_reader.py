"""Reads of the state in this process."""

from collections.abc import Sequence
from typing import TypeVar

from prosa.adapters.in_memory.storage import InMemoryStorage
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


class InMemoryConversationReader(ConversationReader):
    """Reads what in-memory units of work have committed."""

    def __init__(self, storage: InMemoryStorage) -> None:
        self._storage = storage

    async def get_conversation(
        self, tenant_id: TenantId, conversation_id: ConversationId
    ) -> ConversationHeader:
        """Look it up."""
        header = self._storage.of(tenant_id).headers.get(conversation_id)
        if header is None:
            raise ConversationNotFound(conversation_id)
        return header

    async def get_turn(self, tenant_id: TenantId, turn_id: TurnId) -> Turn:
        """Look it up."""
        turn = self._storage.of(tenant_id).turns.get(turn_id)
        if turn is None:
            raise TurnNotFound(turn_id)
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
        """Sort by identifier, which is by start."""
        headers = self._storage.of(tenant_id).headers
        found = [
            headers[key]
            for key in sorted(headers, reverse=not ascending)
            if _fits(headers[key], matching)
            and (after is None or (key > after if ascending else key < after))
        ]
        return _page(found, limit)

    async def list_messages(
        self,
        tenant_id: TenantId,
        conversation_id: ConversationId,
        *,
        limit: int,
        after: MessageId | None,
        ascending: bool,
    ) -> Page[Message]:
        """Cut the list behind the named message."""
        await self.get_conversation(tenant_id, conversation_id)
        messages = self._storage.of(tenant_id).messages.get(conversation_id, [])
        ordered = messages if ascending else messages[::-1]
        if after is not None:
            places = [place for place, message in enumerate(ordered, 1) if message.id == after]
            ordered = ordered[places[0] :] if places else []
        return _page(ordered, limit)


def _fits(header: ConversationHeader, matching: ConversationFilter) -> bool:
    return (
        matching.status in (None, header.status)
        and matching.owner in (None, header.owner)
        and matching.customer_id in (None, header.customer_id)
    )


def _page(items: Sequence[T], limit: int) -> Page[T]:
    return Page(items=tuple(items[:limit]), has_more=len(items) > limit)
