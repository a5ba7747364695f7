"""The event bus: where events go once they are committed."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from prosa.domain.errors import PortFailure
from prosa.domain.identifiers import EventId


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedEvent:
    """An event in its published form: `envelope` is a CloudEvents 1.0 object as JSON."""

    id: EventId
    type: str
    envelope: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedEvent:
    """An event that the bus did not take, and why, in words that hold nothing of its contents."""

    id: EventId
    reason: str


class EventBus(Protocol):
    """Takes events; it promises no order and may deliver one twice."""

    async def publish(self, events: Sequence[PublishedEvent]) -> tuple[RefusedEvent, ...]:
        """Hand the events over in this order; what is not among the refused was taken.

        Raises EventBusError where it is not known that any was taken.
        """


class EventBusError(PortFailure):
    """The bus could not be reached, or failed as a whole."""

    transient: ClassVar[bool] = True
