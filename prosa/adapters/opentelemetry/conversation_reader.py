"""A conversation reader, seen: each read has a span where a trace is kept."""

from collections.abc import Coroutine
from typing import Any

from prosa.adapters.opentelemetry import names
from prosa.adapters.opentelemetry.database_spans import DatabaseSpans
from prosa.application.ports.conversation_reader import (
    ConversationFilter,
    ConversationReader,
    Page,
)
from prosa.domain.conversation_header import ConversationHeader
from prosa.domain.identifiers import ConversationId, MessageId, TenantId, TurnId
from prosa.domain.message import Message
from prosa.domain.turn import Turn


class TracedConversationReader(ConversationReader):
    """Reads; see the port."""

    def __init__(self, reader: ConversationReader, spans: DatabaseSpans) -> None:
        self._reader = reader
        self._spans = spans

    def get_conversation(
        self, tenant_id: TenantId, conversation_id: ConversationId
    ) -> Coroutine[Any, Any, ConversationHeader]:
        """Get a conversation's header."""
        read = self._reader.get_conversation(tenant_id, conversation_id)
        return self._spans.of(names.READ_CONVERSATION, read)

    def get_turn(self, tenant_id: TenantId, turn_id: TurnId) -> Coroutine[Any, Any, Turn]:
        """Get a turn with its message and reply."""
        return self._spans.of(names.READ_TURN, self._reader.get_turn(tenant_id, turn_id))

    def list_conversations(
        self,
        tenant_id: TenantId,
        matching: ConversationFilter,
        *,
        limit: int,
        after: ConversationId | None,
        ascending: bool,
    ) -> Coroutine[Any, Any, Page[ConversationHeader]]:
        """List conversations by their start."""
        read = self._reader.list_conversations(
            tenant_id, matching, limit=limit, after=after, ascending=ascending
        )
        return self._spans.of(names.LIST_CONVERSATIONS, read)

    def list_messages(
        self,
        tenant_id: TenantId,
        conversation_id: ConversationId,
        *,
        limit: int,
        after: MessageId | None,
        ascending: bool,
    ) -> Coroutine[Any, Any, Page[Message]]:
        """List a conversation's messages by their sequence."""
        read = self._reader.list_messages(
            tenant_id, conversation_id, limit=limit, after=after, ascending=ascending
        )
        return self._spans.of(names.LIST_MESSAGES, read)
