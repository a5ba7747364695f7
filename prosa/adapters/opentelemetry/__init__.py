"""Traces and metrics by OpenTelemetry: wrappers of ports, and what they share."""
