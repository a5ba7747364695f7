"""Redrive messages: move them from the dead-letter queue back to where they came from."""

import logging

from prosa.application.ports.message_queue import (
    BATCH,
    MessageQueue,
    NewQueueMessage,
    ReceivedMessage,
)

logger = logging.getLogger(__name__)


class RedriveMessages:
    """Moves messages: sends each one, then deletes it, so that none is lost in between."""

    def __init__(self, *, dead_letters: MessageQueue, queue: MessageQueue) -> None:
        self._dead_letters = dead_letters
        self._queue = queue

    async def __call__(self, limit: int | None = None) -> int:
        """Move what is there now, or `limit` of it, and tell how many messages that was.

        Those that fail again while it is under way stay where they are. Repeat it after whatever
        went wrong: a message that was sent but not deleted has the same effect once only. Raises
        MessageQueueError.
        """
        left = await self._dead_letters.count()
        left = left if limit is None else min(left, limit)
        moved = 0
        while moved < left:
            messages = await self._dead_letters.receive(limit=min(BATCH, left - moved))
            if not messages:
                break
            for message in messages:
                await self._move(message)
                moved += 1
        return moved

    async def _move(self, message: ReceivedMessage) -> None:
        # Not the id that it was first sent with: for some minutes the queue would drop it.
        again = NewQueueMessage(
            group=message.group, body=message.body, deduplication_id=f"redrive-{message.id}"
        )
        await self._queue.send(again)
        await self._dead_letters.delete(message)
        logger.info("message %s is moved back to its queue", message.id)
