"""What every message queue promises."""

import asyncio
from collections.abc import Sequence

from prosa.application.ports.message_queue import (
    BATCH,
    MessageQueue,
    NewQueueMessage,
    ReceivedMessage,
)

AT_ONCE = 0.0


class MessageQueueContract:
    """Subclass it with a fixture `queue`, which waits for nothing and lends for minutes."""

    async def test_a_message_arrives_to_the_letter(self, queue: MessageQueue) -> None:
        await queue.send(a_message("olá, não é?", group="conv_1"))
        (message,) = await queue.receive()
        assert (message.body, message.group, message.receives) == ("olá, não é?", "conv_1", 1)

    async def test_an_empty_queue_gives_nothing(self, queue: MessageQueue) -> None:
        assert list(await queue.receive()) == []

    async def test_messages_of_a_group_come_in_their_order(self, queue: MessageQueue) -> None:
        for number in range(5):
            await queue.send(a_message(str(number)))
        assert bodies(await queue.receive()) == ["0", "1", "2", "3", "4"]

    async def test_no_more_are_received_than_asked_for(self, queue: MessageQueue) -> None:
        for number in range(BATCH + 2):
            await queue.send(a_message(str(number), group=f"conv_{number}"))
        assert len(await queue.receive(limit=2)) == 2
        assert len(await queue.receive()) == BATCH

    async def test_what_is_deleted_does_not_come_again(self, queue: MessageQueue) -> None:
        await queue.send(a_message("once"))
        (message,) = await queue.receive()
        await queue.delete(message)
        assert list(await queue.receive()) == []

    async def test_while_a_message_is_on_loan_its_group_waits(self, queue: MessageQueue) -> None:
        await queue.send(a_message("1"))
        assert bodies(await queue.receive()) == ["1"]
        await queue.send(a_message("2"))
        await queue.send(a_message("other", group="conv_2"))
        assert bodies(await queue.receive()) == ["other"]

    async def test_what_is_put_back_comes_again_and_that_is_counted(
        self, queue: MessageQueue
    ) -> None:
        await queue.send(a_message("again"))
        (first,) = await queue.receive()
        await queue.put_back(first, seconds=AT_ONCE)
        (second,) = await queue.receive()
        assert (second.id, second.body, second.receives) == (first.id, "again", 2)

    async def test_what_is_put_back_for_later_does_not_come_at_once(
        self, queue: MessageQueue
    ) -> None:
        await queue.send(a_message("later"))
        (message,) = await queue.receive()
        await queue.put_back(message, seconds=60.5)
        assert list(await queue.receive()) == []

    async def test_of_two_with_one_deduplication_id_the_second_is_dropped(
        self, queue: MessageQueue
    ) -> None:
        for body in ("first", "second"):
            await queue.send(NewQueueMessage(group="conv_1", body=body, deduplication_id="msg_1"))
        assert bodies(await queue.receive()) == ["first"]

    async def test_what_is_not_on_loan_is_counted(self, queue: MessageQueue) -> None:
        for number in range(3):
            await queue.send(a_message(str(number), group=f"conv_{number}"))
        assert await queue.count() == 3
        await queue.receive(limit=1)
        assert await queue.count() == 2

    async def test_several_may_receive_at_once_and_none_gets_what_another_has(
        self, queue: MessageQueue
    ) -> None:
        for number in range(6):
            await queue.send(a_message(str(number), group=f"conv_{number}"))
        received = await asyncio.gather(*(queue.receive(limit=2) for _ in range(3)))
        assert sorted(body for batch in received for body in bodies(batch)) == list("012345")


def a_message(body: str, *, group: str = "conv_1") -> NewQueueMessage:
    """Make a message that no other is like."""
    return NewQueueMessage(
        group=group, body=body, deduplication_id=f"{group}-{body}".encode().hex()
    )


def bodies(messages: Sequence[ReceivedMessage]) -> list[str]:
    """Give what is in messages."""
    return [message.body for message in messages]
