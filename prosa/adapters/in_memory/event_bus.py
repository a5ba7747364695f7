"""An event bus that remembers what it took, and fails by script."""

from collections import deque
from collections.abc import Callable, Iterable, Sequence

from prosa.application.ports.event_bus import (
    EventBus,
    EventBusError,
    PublishedEvent,
    RefusedEvent,
    TryAgain,
)

Answer = EventBusError | Callable[[PublishedEvent], str | None] | None
"""How a publishing goes: it raises, or says of each event why it is refused; None takes all."""


class RecordingEventBus(EventBus):
    """Answers as its script says, then takes everything."""

    def __init__(self, script: Iterable[Answer] = ()) -> None:
        self.script: deque[Answer] = deque(script)
        self.published: list[PublishedEvent] = []
        """What was taken, in order, as often as it was."""
        self.try_again = TryAgain.LATER
        """When what is refused may be tried again."""

    async def publish(self, events: Sequence[PublishedEvent]) -> tuple[RefusedEvent, ...]:
        """Take the events, but for those that the script refuses."""
        answer = self.script.popleft() if self.script else None
        if isinstance(answer, EventBusError):
            raise answer
        refused = []
        for event in events:
            reason = answer(event) if answer else None
            if reason is None:
                self.published.append(event)
            else:
                refusal = RefusedEvent(id=event.id, reason=reason, try_again=self.try_again)
                refused.append(refusal)
        return tuple(refused)

    async def check(self) -> None:
        """There is nothing to look at."""
