"""Guardrail and intent classifier by local patterns: no model, no network."""
