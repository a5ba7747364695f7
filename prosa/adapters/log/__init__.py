"""Adapters that write to the log."""
