"""The rules of a conversation: pure, synchronous, standard library only."""
