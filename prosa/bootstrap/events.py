"""Opens the event bus, and what relays the outbox to it."""

# ruff: noqa: PLC0415 - each technology is imported only where it is configured, by whoever uses it

import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from prosa.application.ports.event_bus import EventBus
from prosa.application.ports.outbox import Outbox
from prosa.application.relay_outbox import RelayOutbox
from prosa.bootstrap.moments import now
from prosa.bootstrap.packages import required_packages
from prosa.bootstrap.parts import Chore
from prosa.bootstrap.storage import open_database, require_ready
from prosa.bootstrap.telemetry import Around, open_telemetry
from prosa.settings import Settings

if TYPE_CHECKING:
    from prosa.adapters.opentelemetry.telemetry import Telemetry
    from prosa.adapters.sql.database import Database

RELAY_SECONDS = 5.0
"""How often to look for events that nobody has announced: of another process, or once refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRelay:
    """What carries events from the outbox to the bus."""

    outbox: Outbox
    event_bus: EventBus
    relay_outbox: RelayOutbox
    chore: Chore
    telemetry: "Telemetry | None" = None


@asynccontextmanager
async def open_relay(settings: Settings) -> AsyncIterator[EventRelay]:
    """Open what relays events, and nothing else: no model is needed for it.

    Raises ConfigurationError and StorageUnavailable, as `bootstrap` does.
    """
    async with (
        open_telemetry(settings) as around,
        open_database(settings) as database,
        open_event_bus(settings) as event_bus,
    ):
        await require_ready(settings, database)
        yield relay_of(database, event_bus, around)


def relay_of(database: "Database", event_bus: EventBus, around: Around) -> EventRelay:
    """Put together what relays the events of a database."""
    from prosa.adapters.sql.outbox import SqlOutbox

    outbox = around.outbox(SqlOutbox(database))
    event_bus = around.event_bus(event_bus)
    relay_outbox = RelayOutbox(outbox=outbox, event_bus=event_bus, clock=now, random=random.random)

    async def relay() -> bool:
        return (await relay_outbox.relay_batch()).taken > 0

    chore = Chore(name="relaying events", work=relay, every_seconds=RELAY_SECONDS, at_end=True)
    return EventRelay(
        outbox=outbox,
        event_bus=event_bus,
        relay_outbox=relay_outbox,
        chore=chore,
        telemetry=around.telemetry,
    )


@asynccontextmanager
async def open_event_bus(settings: Settings) -> AsyncIterator[EventBus]:
    """Open the bus that PROSA_EVENT_BUS names; nothing is sent yet. Raises ConfigurationError."""
    kind, _, name = settings.event_bus.partition(":")
    if kind == "log":
        from prosa.adapters.log.event_bus import LogEventBus

        yield LogEventBus()
        return
    with required_packages("PROSA_EVENT_BUS names eventbridge", extra="aws"):
        import_module("botocore")
        from prosa.adapters.eventbridge.event_bus import DEFAULT_BUS, EventBridgeEventBus
    bus = EventBridgeEventBus(name or DEFAULT_BUS)
    try:
        yield bus
    finally:
        bus.close()
