"""Conversations as aggregates, within a unit of work."""

from typing import Protocol

from prosa.domain.conversation import Conversation
from prosa.domain.identifiers import ConversationId, TurnId


class ConversationRepository(Protocol):
    """The conversations of one tenant.

    Nothing is locked: a save compares the version that was loaded. `history` says how many of the
    newest messages come along. A unit of work writes one conversation: it is the consistency
    boundary.
    """

    async def get(self, conversation_id: ConversationId, *, history: int = 0) -> Conversation:
        """Load a conversation with its running turn. Raises ConversationNotFound."""

    async def get_by_turn(self, turn_id: TurnId, *, history: int = 0) -> Conversation:
        """Load the conversation of a turn, with that turn and the running one.

        Raises TurnNotFound.
        """

    def add(self, conversation: Conversation) -> None:
        """Have a new conversation and its events written at commit."""

    def save(self, conversation: Conversation) -> None:
        """Have a loaded conversation's changes and events written at commit."""
