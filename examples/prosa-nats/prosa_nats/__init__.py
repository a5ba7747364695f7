"""Prosa's events on NATS JetStream."""

from prosa_nats.event_bus import NatsEventBus, open_event_bus

__all__ = ["NatsEventBus", "open_event_bus"]
