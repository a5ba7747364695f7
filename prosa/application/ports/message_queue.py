"""A queue of messages that channels push, first in, first out within each group."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

from prosa.domain.errors import PortFailure

BATCH = 10
"""How many messages are received at once, at most."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NewQueueMessage:
    """A message to send. For some minutes a second one with its `deduplication_id` is dropped."""

    group: str
    body: str
    deduplication_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedMessage:
    """A message on loan: `receives` counts the loans, this one included; `receipt` names it."""

    id: str
    group: str
    body: str
    receives: int
    receipt: str


class MessageQueue(Protocol):
    """Lends messages until they are deleted. Each method raises MessageQueueError."""

    async def send(self, message: NewQueueMessage) -> None:
        """Put a message at the end of its group."""

    async def receive(self, *, limit: int = BATCH) -> Sequence[ReceivedMessage]:
        """Borrow what is due, in the order of each group; where nothing is, wait a little for it.

        While a message of a group is on loan, nobody is lent another one of that group. One that
        was lent too often goes to the dead-letter queue, where the queue has one.
        """

    async def delete(self, message: ReceivedMessage) -> None:
        """End a loan for good; what is gone already stays so."""

    async def put_back(self, message: ReceivedMessage, *, seconds: float) -> None:
        """Have a message lent again after so many seconds."""

    async def count(self) -> int:
        """Count those that are not on loan, about."""


class MessageQueueError(PortFailure):
    """The queue could not be reached, or refused."""

    transient: ClassVar[bool] = True
