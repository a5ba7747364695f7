"""Retry, circuit breaker and fallback around any language model."""
