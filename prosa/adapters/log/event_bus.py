"""An event bus that writes each event to the log."""

import logging
from collections.abc import Sequence

from prosa.application.ports.event_bus import EventBus, PublishedEvent, RefusedEvent

logger = logging.getLogger("prosa.events")
"""A name for whoever wants the events elsewhere than the rest of the log."""


class LogEventBus(EventBus):
    """Writes one line for each event, at INFO: its envelope. Never refuses one."""

    async def publish(self, events: Sequence[PublishedEvent]) -> tuple[RefusedEvent, ...]:
        """Write the lines."""
        for event in events:
            logger.info("%s", event.envelope)
        return ()

    async def check(self) -> None:
        """There is nothing to look at."""
