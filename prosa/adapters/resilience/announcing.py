"""Tells the event bus that a breaker moved: once, and while nobody waits for it."""

import asyncio
import logging

from prosa.adapters.event_format import breaker_moved_event
from prosa.adapters.resilience.circuit_breaker import BreakerMoved
from prosa.application.ports.event_bus import EventBus
from prosa.domain.identifiers import NewHex

logger = logging.getLogger(__name__)

PUBLISH_SECONDS = 5.0
"""How long a bus is waited for; the event is given up then."""


class BreakerAnnouncer:
    """Publishes moves of breakers at most once: what the bus does not take is logged and lost.

    Called within a running event loop. Close it with `aclose`.
    """

    def __init__(self, bus: EventBus, new_hex: NewHex) -> None:
        self._bus = bus
        self._new_hex = new_hex
        self._publishing: set[asyncio.Task[None]] = set()

    def __call__(self, moved: BreakerMoved) -> None:
        """Publish a move, soon."""
        task = asyncio.create_task(self._publish(moved))
        self._publishing.add(task)
        task.add_done_callback(self._publishing.discard)

    async def aclose(self) -> None:
        """Give up what is not published yet."""
        for task in self._publishing:
            task.cancel()
        await asyncio.gather(*self._publishing, return_exceptions=True)

    async def _publish(self, moved: BreakerMoved) -> None:
        event = breaker_moved_event(
            new_hex=self._new_hex,
            model=moved.model,
            before=moved.before,
            after=moved.after,
            at=moved.at,
        )
        try:
            async with asyncio.timeout(PUBLISH_SECONDS):
                refused = await self._bus.publish([event])
        except Exception as error:  # noqa: BLE001 - whatever the bus does, no call may suffer
            logger.warning("%s is not published: %s", event.type, type(error).__name__)
            return
        for each in refused:
            logger.warning("%s is not published: %s", event.type, each.reason)
