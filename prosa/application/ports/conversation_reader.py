"""Reads for display: lists and single values, no aggregate, no lock."""

from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

from prosa.domain.conversation_header import ConversationHeader, ConversationStatus, Owner
from prosa.domain.identifiers import ConversationId, MessageId, TenantId, TurnId
from prosa.domain.message import Message
from prosa.domain.turn import Turn

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """A part of a list, and whether more of it follows."""

    items: tuple[T, ...]
    has_more: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationFilter:
    """Which conversations to list; None leaves a criterion out."""

    status: ConversationStatus | None = None
    owner: Owner | None = None
    customer_id: str | None = None


class ConversationReader(Protocol):
    """Reads what is committed. Each method raises StorageUnavailable."""

    async def get_conversation(
        self, tenant_id: TenantId, conversation_id: ConversationId
    ) -> ConversationHeader:
        """Get a conversation's header. Raises ConversationNotFound."""

    async def get_turn(self, tenant_id: TenantId, turn_id: TurnId) -> Turn:
        """Get a turn with its message and reply. Raises TurnNotFound."""

    async def list_conversations(
        self,
        tenant_id: TenantId,
        matching: ConversationFilter,
        *,
        limit: int,
        after: ConversationId | None,
        ascending: bool,
    ) -> Page[ConversationHeader]:
        """List conversations by their start, those behind `after` only.

        An `after` that names no conversation of the tenant stands for its place in that order.
        """

    async def list_messages(
        self,
        tenant_id: TenantId,
        conversation_id: ConversationId,
        *,
        limit: int,
        after: MessageId | None,
        ascending: bool,
    ) -> Page[Message]:
        """List a conversation's messages by their sequence, those behind `after` only.

        An `after` that names no message of the conversation gives an empty page. Raises
        ConversationNotFound.
        """
