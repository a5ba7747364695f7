"""Adapters that use Amazon SQS."""
