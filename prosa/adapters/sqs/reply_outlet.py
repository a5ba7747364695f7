"""Replies to an SQS FIFO queue, of which the channel's software takes them."""

from collections.abc import Iterator
from contextlib import contextmanager

from prosa.adapters.event_format import reply_ready_event
from prosa.adapters.sqs.message_queue import SqsMessageQueue
from prosa.application.ports.message_queue import MessageQueueError, NewQueueMessage
from prosa.application.ports.reply_outlet import OutgoingReply, ReplyOutlet, ReplyOutletError


class SqsReplyOutlet(ReplyOutlet):
    """Sends to a queue by its URL. Close it with `close`.

    On the queue it needs `sqs:SendMessage`, and to look at it `GetQueueAttributes`.
    Replies are grouped by their conversation. Within five minutes one that is sent again is
    dropped by SQS; after that it has the same id, by which readers know it.
    """

    def __init__(self, url: str) -> None:
        self._queue = SqsMessageQueue(url)

    async def send(self, reply: OutgoingReply) -> None:
        """Send a reply, as a CloudEvent."""
        message = NewQueueMessage(
            group=reply.conversation_id, body=reply_ready_event(reply), deduplication_id=reply.id
        )
        with _translated():
            await self._queue.send(message)

    async def check(self) -> None:
        """Look at the queue."""
        with _translated():
            await self._queue.check()

    def close(self) -> None:
        """Close the connections."""
        self._queue.close()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except MessageQueueError as error:
        raise ReplyOutletError(str(error)) from error
