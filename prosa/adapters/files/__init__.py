"""Prompts and canned replies kept as files."""
