"""Measures what Prosa costs: turns beside two floors, long conversations, starting up."""
