"""What every event bus promises."""

from abc import abstractmethod
from collections.abc import Sequence

import pytest

from prosa.application.ports.event_bus import EventBus, EventBusError, PublishedEvent
from prosa.domain.identifiers import EventId

SECRET = "contents of the event"  # noqa: S105 - no password, but what no reason may repeat


class EventBusContract:
    """Subclass it with a fixture `event_bus` and the method `arrived`.

    A bus that can fail gives the fixtures `refusing` and `broken` as well.
    """

    @abstractmethod
    async def arrived(self, event_bus: EventBus) -> Sequence[str]:
        """List the envelopes that have come out at the other end of the bus."""

    @pytest.fixture
    def refusing(self) -> EventBus:
        """Make a bus that refuses the events `evt_3` and `evt_12`."""
        pytest.skip("this bus refuses nothing")

    @pytest.fixture
    def broken(self) -> EventBus:
        """Make a bus that cannot be reached."""
        pytest.skip("this bus is always there")

    async def test_every_event_arrives_to_the_letter(self, event_bus: EventBus) -> None:
        events = some_events(25)
        assert await event_bus.publish(events) == ()
        assert sorted(await self.arrived(event_bus)) == sorted(event.envelope for event in events)

    async def test_one_that_works_is_found_to(self, event_bus: EventBus) -> None:
        await event_bus.check()
        assert list(await self.arrived(event_bus)) == []

    async def test_nothing_is_published_of_nothing(self, event_bus: EventBus) -> None:
        assert await event_bus.publish(()) == ()
        assert list(await self.arrived(event_bus)) == []

    async def test_an_event_may_be_published_again(self, event_bus: EventBus) -> None:
        events = some_events(1)
        for _ in range(2):
            assert await event_bus.publish(events) == ()
        assert set(await self.arrived(event_bus)) == {events[0].envelope}

    async def test_of_refused_events_it_says_why_and_the_others_arrive(
        self, refusing: EventBus
    ) -> None:
        events = some_events(25)
        refused = await refusing.publish(events)
        assert [one.id for one in refused] == ["evt_3", "evt_12"]
        assert all(one.reason and SECRET not in one.reason for one in refused)
        taken = [event.envelope for event in events if event.id not in {"evt_3", "evt_12"}]
        assert sorted(await self.arrived(refusing)) == sorted(taken)

    async def test_a_bus_that_cannot_be_reached_is_an_error(self, broken: EventBus) -> None:
        with pytest.raises(EventBusError) as failed:
            await broken.publish(some_events(2))
        assert failed.value.transient
        assert SECRET not in str(failed.value)


def some_events(count: int) -> list[PublishedEvent]:
    """Make events whose envelopes no two share."""
    return [
        PublishedEvent(
            id=EventId(f"evt_{number}"),
            type="conversation.closed.v1",
            envelope=(
                f'{{"specversion":"1.0","id":"evt_{number}","source":"prosa.conversations",'
                f'"type":"conversation.closed.v1","said":"{SECRET}, não é?"}}'
            ),
        )
        for number in range(count)
    ]
