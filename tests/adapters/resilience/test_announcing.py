"""What the event bus is told of breakers."""

import asyncio
import json
from collections.abc import Sequence

import pytest

from prosa.adapters.in_memory.event_bus import RecordingEventBus
from prosa.adapters.resilience.announcing import PUBLISH_SECONDS, BreakerAnnouncer
from prosa.adapters.resilience.circuit_breaker import BreakerMoved, BreakerState
from prosa.application.ports.event_bus import (
    EventBus,
    EventBusError,
    PublishedEvent,
    RefusedEvent,
)
from prosa.testing.builders import NOON

MOVED = BreakerMoved(model="openai:x", before=BreakerState.CLOSED, after=BreakerState.OPEN, at=NOON)
DIGITS = "0" * 31 + "7"


class StuckEventBus(RecordingEventBus):
    async def publish(self, events: Sequence[PublishedEvent]) -> tuple[RefusedEvent, ...]:
        assert events
        await asyncio.Event().wait()
        return ()


class BrokenEventBus(RecordingEventBus):
    async def publish(self, events: Sequence[PublishedEvent]) -> tuple[RefusedEvent, ...]:
        raise ValueError(str(events))


def announcer(bus: EventBus) -> BreakerAnnouncer:
    return BreakerAnnouncer(bus, lambda: DIGITS)


async def test_a_move_is_published_as_a_cloud_event() -> None:
    bus = RecordingEventBus()
    announcer(bus)(MOVED)
    assert bus.published == []  # nobody waits for it
    await asyncio.sleep(0)
    (event,) = bus.published
    assert (event.id, event.type) == (f"evt_{DIGITS}", "language_model.breaker.moved.v1")
    assert json.loads(event.envelope) == {
        "specversion": "1.0",
        "id": f"evt_{DIGITS}",
        "source": "prosa.language_models",
        "type": "language_model.breaker.moved.v1",
        "subject": "openai:x",
        "time": "2026-03-02T12:00:00.123456Z",
        "datacontenttype": "application/json",
        "dataschema": "urn:prosa:event:language_model.breaker.moved.v1",
        "data": {"model": "openai:x", "before": "closed", "after": "open"},
    }


@pytest.mark.parametrize(
    "bus",
    [
        BrokenEventBus(),
        StuckEventBus(),
        RecordingEventBus([EventBusError("away")]),
        RecordingEventBus([lambda _: "too large"]),
    ],
    ids=["broken", "stuck", "away", "refusing"],
)
async def test_what_the_bus_does_not_take_is_logged_and_lost(
    bus: EventBus, caplog: pytest.LogCaptureFixture
) -> None:
    announcing = announcer(bus)
    announcing(MOVED)
    await asyncio.sleep(PUBLISH_SECONDS + 1)
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith("language_model.breaker.moved.v1 is not published: ")
    await announcing.aclose()


async def test_closing_waits_for_no_bus() -> None:
    announcing = announcer(StuckEventBus())
    announcing(MOVED)
    await asyncio.sleep(0)
    await announcing.aclose()
    assert len(asyncio.all_tasks()) == 1
