"""Adapters that use AWS Step Functions."""
