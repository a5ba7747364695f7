"""Identifiers in addresses: what cannot be one is not found, without a look into the database."""

from prosa.domain.errors import ConversationNotFound, TurnNotFound
from prosa.domain.identifiers import ConversationId, TurnId, is_identifier


def conversation_id_in(path: str) -> ConversationId:
    """Take a conversation's id from an address. Raises ConversationNotFound."""
    if not is_identifier(path, "conv"):
        raise ConversationNotFound(ConversationId(path))
    return ConversationId(path)


def turn_id_in(path: str) -> TurnId:
    """Take a turn's id from an address. Raises TurnNotFound."""
    if not is_identifier(path, "turn"):
        raise TurnNotFound(TurnId(path))
    return TurnId(path)
