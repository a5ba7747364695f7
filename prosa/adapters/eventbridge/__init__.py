"""Adapters that use Amazon EventBridge."""
