"""A queue in this process that lends, drops and gives up messages as an SQS FIFO queue does.

Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/FIFO-queues-understanding-logic.html
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from prosa.application.ports.message_queue import (
    BATCH,
    MessageQueue,
    NewQueueMessage,
    ReceivedMessage,
)
from prosa.domain.identifiers import Clock

DEDUPLICATED_FOR = timedelta(minutes=5)


@dataclass(slots=True)
class _Entry:
    id: str
    sent: NewQueueMessage
    due_at: datetime
    receives: int = 0


class InMemoryMessageQueue(MessageQueue):
    """Lends each message for `visibility_seconds`, and `max_receives` times at most.

    Without `dead_letters` there is no limit.
    """

    def __init__(
        self,
        *,
        clock: Clock,
        visibility_seconds: float = 300.0,
        max_receives: int = 5,
        dead_letters: "InMemoryMessageQueue | None" = None,
    ) -> None:
        self._clock = clock
        self._visibility = timedelta(seconds=visibility_seconds)
        self._max_receives = max_receives
        self._dead_letters = dead_letters
        self._entries: list[_Entry] = []
        self._sent_at: dict[str, datetime] = {}
        self._count = 0

    @property
    def bodies(self) -> list[str]:
        """What is there, in the order that it came."""
        return [entry.sent.body for entry in self._entries]

    def take(self, message_id: str, message: NewQueueMessage) -> None:
        """Take a message that another queue gave up: it keeps its id."""
        self._entries.append(_Entry(message_id, message, self._clock()))

    async def send(self, message: NewQueueMessage) -> None:
        """Take a message, unless its like was sent within five minutes."""
        now = self._clock()
        before = self._sent_at.get(message.deduplication_id)
        if before is not None and now - before < DEDUPLICATED_FOR:
            return
        self._sent_at[message.deduplication_id] = now
        self._count += 1
        self.take(f"message-{self._count}", message)

    async def receive(self, *, limit: int = BATCH) -> Sequence[ReceivedMessage]:
        """Lend at once; nothing is waited for."""
        now = self._clock()
        busy = {entry.sent.group for entry in self._entries if entry.due_at > now}
        lent: list[ReceivedMessage] = []
        for entry in [entry for entry in self._entries if entry.sent.group not in busy]:
            if self._is_given_up(entry):
                self._give_up(entry)
            elif len(lent) < limit:
                lent.append(self._lend(entry, now))
        return lent

    async def delete(self, message: ReceivedMessage) -> None:
        """Forget it."""
        self._entries = [entry for entry in self._entries if entry.id != message.id]

    async def put_back(self, message: ReceivedMessage, *, seconds: float) -> None:
        """Say when it is due."""
        for entry in self._entries:
            if entry.id == message.id:
                entry.due_at = self._clock() + timedelta(seconds=seconds)

    async def count(self) -> int:
        """Count what is due."""
        now = self._clock()
        return sum(entry.due_at <= now for entry in self._entries)

    def _is_given_up(self, entry: _Entry) -> bool:
        return self._dead_letters is not None and entry.receives >= self._max_receives

    def _give_up(self, entry: _Entry) -> None:
        self._entries.remove(entry)
        if self._dead_letters is not None:
            self._dead_letters.take(entry.id, entry.sent)

    def _lend(self, entry: _Entry, now: datetime) -> ReceivedMessage:
        entry.receives += 1
        entry.due_at = now + self._visibility
        return ReceivedMessage(
            id=entry.id,
            group=entry.sent.group,
            body=entry.sent.body,
            receives=entry.receives,
            receipt=f"{entry.id}-{entry.receives}",
        )
