"""The outbox, measured: what became of its events, and from time to time what waits in it."""

import time
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Final

from prosa.adapters.opentelemetry.metrics import Metrics
from prosa.application.ports.outbox import Backlog, FailedEntry, Outbox, OutboxEntry
from prosa.application.ports.unit_of_work import StorageUnavailable
from prosa.domain.identifiers import EventId

SECONDS_BETWEEN: Final = 15.0
"""How often to count what waits. Who relays counts: an exporter's callback must not wait."""


class MeasuredOutbox(Outbox):
    """Lends entries."""

    def __init__(
        self, outbox: Outbox, metrics: Metrics, timer: Callable[[], float] = time.monotonic
    ) -> None:
        self._outbox = outbox
        self._metrics = metrics
        self._timer = timer
        self._counted_at = -SECONDS_BETWEEN

    async def take(self, *, limit: int, now: datetime, until: datetime) -> tuple[OutboxEntry, ...]:
        """Take entries that are due; see the port."""
        if self._timer() - self._counted_at >= SECONDS_BETWEEN:
            self._counted_at = self._timer()
            await self._count()
        return await self._outbox.take(limit=limit, now=now, until=until)

    async def settle(
        self, *, published: Sequence[EventId], failed: Sequence[FailedEntry], now: datetime
    ) -> None:
        """Mark each entry; see the port."""
        await self._outbox.settle(published=published, failed=failed, now=now)
        parked = sum(entry.try_again_at is None for entry in failed)
        self._metrics.relayed(published=len(published), put_off=len(failed) - parked, parked=parked)

    async def backlog(self) -> Backlog:
        """Count what waits and what is parked."""
        backlog = await self._outbox.backlog()
        self._metrics.backlog(backlog)
        return backlog

    async def unpark(self) -> int:
        """Have the parked entries tried again."""
        return await self._outbox.unpark()

    async def _count(self) -> None:
        """Count; where that fails, taking says so."""
        try:
            await self.backlog()
        except StorageUnavailable:
            return
