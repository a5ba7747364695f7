"""Messages come back from the dead-letter queue, and none is lost on the way."""

import pytest

from prosa.adapters.in_memory.message_queue import InMemoryMessageQueue
from prosa.application.ports.message_queue import (
    MessageQueueError,
    NewQueueMessage,
    ReceivedMessage,
)
from prosa.application.redrive_messages import RedriveMessages
from prosa.testing.builders import VirtualClock
from prosa.testing.message_queue_contract import a_message, bodies

LOAN = 60.0


class BreakingQueue(InMemoryMessageQueue):
    """Fails as it is told to."""

    def __init__(self, clock: VirtualClock) -> None:
        super().__init__(clock=clock, visibility_seconds=LOAN)
        self.sends: int | None = None
        """How many more messages it takes; None is any."""
        self.deletes = True

    async def send(self, message: NewQueueMessage) -> None:
        """Take it, or fail."""
        if self.sends is not None:
            if not self.sends:
                raise MessageQueueError("SQS cannot be reached")
            self.sends -= 1
        await super().send(message)

    async def delete(self, message: ReceivedMessage) -> None:
        """Delete it, or fail."""
        if not self.deletes:
            raise MessageQueueError("SQS cannot be reached")
        await super().delete(message)


class Redriving:
    """A queue, and its dead-letter queue with so many messages."""

    def __init__(self, count: int) -> None:
        self.clock = VirtualClock()
        self.queue = BreakingQueue(self.clock)
        self.dead_letters = BreakingQueue(self.clock)
        for number in range(count):
            # As they are given up: under the ids that they had, and that the queue remembers.
            self.dead_letters.take(f"message-{number}", a_message(str(number)))
        self.redrive = RedriveMessages(queue=self.queue, dead_letters=self.dead_letters)


async def test_every_message_comes_back_in_its_group_and_order() -> None:
    redriving = Redriving(count=23)
    assert await redriving.redrive() == 23
    assert redriving.queue.bodies == [str(number) for number in range(23)]
    assert redriving.dead_letters.bodies == []
    assert {message.group for message in await redriving.queue.receive()} == {"conv_1"}


async def test_no_more_are_moved_than_asked_for() -> None:
    redriving = Redriving(count=23)
    assert await redriving.redrive(12) == 12
    assert len(redriving.dead_letters.bodies) == 11


async def test_an_empty_queue_has_nothing_to_move() -> None:
    assert await Redriving(count=0).redrive(5) == 0


async def test_messages_that_somebody_else_has_are_left_to_them() -> None:
    redriving = Redriving(count=2)
    count = redriving.dead_letters.count

    async def counted_before() -> int:
        counted = await count()
        await redriving.dead_letters.receive()
        return counted

    redriving.dead_letters.count = counted_before  # type: ignore[method-assign] # what comes in between
    assert await redriving.redrive() == 0


async def test_a_message_is_not_dropped_for_having_been_in_the_queue_a_moment_ago() -> None:
    redriving = Redriving(count=0)
    await redriving.queue.send(a_message("same"))
    (message,) = await redriving.queue.receive()
    await redriving.queue.delete(message)
    redriving.dead_letters.take(message.id, a_message("same"))
    assert await redriving.redrive() == 1
    assert bodies(await redriving.queue.receive()) == ["same"]


async def test_what_cannot_be_sent_stays_where_it_is() -> None:
    redriving = Redriving(count=3)
    redriving.queue.sends = 1
    with pytest.raises(MessageQueueError):
        await redriving.redrive()
    assert (redriving.queue.bodies, redriving.dead_letters.bodies) == (["0"], ["1", "2"])


async def test_broken_off_between_sending_and_deleting_it_is_repeated_and_moves_each_once() -> None:
    redriving = Redriving(count=2)
    redriving.dead_letters.deletes = False
    with pytest.raises(MessageQueueError):
        await redriving.redrive()
    assert (redriving.queue.bodies, redriving.dead_letters.bodies) == (["0"], ["0", "1"])
    redriving.dead_letters.deletes = True
    redriving.clock.advance(LOAN)
    assert await redriving.redrive() == 2
    assert (redriving.queue.bodies, redriving.dead_letters.bodies) == (["0", "1"], [])
