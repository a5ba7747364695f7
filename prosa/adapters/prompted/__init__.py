"""Ports served by asking a language model."""
