"""The event bus: where events go once they are committed."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import ClassVar, Protocol

from prosa.domain.errors import PortFailure
from prosa.domain.identifiers import EventId


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedEvent:
    """An event in its published form: `envelope` is a CloudEvents 1.0 object as JSON."""

    id: EventId
    type: str
    envelope: str


LONGEST_PUBLISH_SECONDS = 25.0
"""How long a bus may take for what it is handed: less than the outbox lends it for."""


class TryAgain(Enum):
    """When to hand over an event again that was refused."""

    LATER = auto()
    """The bus would not take it now."""
    AT_ONCE = auto()
    """The bus was not asked, or did not answer: that is no fault of the event."""
    NEVER = auto()
    """No bus of this kind will ever take it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefusedEvent:
    """An event that the bus did not take, and why, in words that hold nothing of its contents."""

    id: EventId
    reason: str
    try_again: TryAgain = TryAgain.LATER


class EventBus(Protocol):
    """Takes events; it promises no order and may deliver one twice."""

    async def publish(self, events: Sequence[PublishedEvent]) -> tuple[RefusedEvent, ...]:
        """Hand the events over in this order; what is not among the refused was taken.

        It returns within LONGEST_PUBLISH_SECONDS; what it had no time for is refused. Raises
        EventBusError where it is not known that any was taken.
        """

    async def check(self) -> None:
        """See that it is there and may be used. Raises EventBusError."""


class EventBusError(PortFailure):
    """The bus could not be reached, or failed as a whole."""

    transient: ClassVar[bool] = True
