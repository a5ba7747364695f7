"""Conversations in the tables, within a unit of work."""

from prosa.adapters.sql.database import Database
from prosa.adapters.sql.loading import load_by_id, load_by_turn
from prosa.adapters.sql.row_mapping import (
    attempt_row,
    conversation_row,
    message_row,
    outbox_row,
    turn_row,
    usage_rows,
)
from prosa.adapters.sql.saving import Rows, Write
from prosa.application.ports.conversation_repository import ConversationRepository
from prosa.domain.conversation import Conversation
from prosa.domain.errors import ConversationNotFound, TurnNotFound
from prosa.domain.identifiers import ConversationId, TenantId, TurnId


class SqlConversationRepository(ConversationRepository):
    """Loads at once; gathers what the unit of work saves."""

    def __init__(self, database: Database, tenant_id: TenantId) -> None:
        self._database = database
        self._tenant_id = tenant_id
        self._pending: tuple[str, Conversation] | None = None

    async def get(self, conversation_id: ConversationId, *, history: int = 0) -> Conversation:
        """Load."""
        conversation = await load_by_id(self._database, self._tenant_id, conversation_id, history)
        if conversation is None:
            raise ConversationNotFound(conversation_id)
        return conversation

    async def get_by_turn(self, turn_id: TurnId, *, history: int = 0) -> Conversation:
        """Load."""
        conversation = await load_by_turn(self._database, self._tenant_id, turn_id, history)
        if conversation is None:
            raise TurnNotFound(turn_id)
        return conversation

    def add(self, conversation: Conversation) -> None:
        """Write it at commit."""
        self._pending = (Write.ADD_CONVERSATION, conversation)

    def save(self, conversation: Conversation) -> None:
        """Write its changes at commit."""
        self._pending = (Write.SAVE_CONVERSATION, conversation)

    def rows(self) -> Rows:
        """List what there is to write: nothing without an event, which every change records."""
        if self._pending is None or not self._pending[1].changes.events:
            return {}
        write, conversation = self._pending
        header, changes = conversation.header, conversation.changes
        dialect, tenant_id = self._database.dialect, self._tenant_id
        return {
            write: [conversation_row(header, dialect)],
            Write.ADD_MESSAGES: [
                message_row(message, tenant_id, dialect) for message in changes.messages
            ],
            Write.KEEP_TURNS: [
                turn_row(turn, tenant_id, dialect) for turn in changes.turns.values()
            ],
            Write.KEEP_ATTEMPTS: [attempt_row(attempt, dialect) for attempt in changes.attempts],
            Write.ADD_USAGE: [
                row
                for attempt in changes.attempts
                for row in usage_rows(attempt, header.updated_at, dialect)
            ],
            Write.ADD_EVENTS: [outbox_row(event, dialect) for event in changes.events],
        }
