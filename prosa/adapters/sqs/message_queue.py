"""An SQS FIFO queue of this account and region, by its URL."""

import json
import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from types import TracebackType
from typing import Any

from prosa.adapters.aws_client import AwsClient, AwsFailure, FailureKind, TimeLimits
from prosa.application.ports.message_queue import (
    BATCH,
    MessageQueue,
    MessageQueueError,
    NewQueueMessage,
    ReceivedMessage,
)

LONGEST_PAUSE = 43_200
"""Seconds: SQS keeps no message invisible for longer than twelve hours after it was received."""

LIMITS = TimeLimits()
"""For calls that wait for nothing; those that wait for messages have that much more."""


class SqsMessageQueue(MessageQueue):
    """Lends messages for `visibility_seconds`, or as long as the queue says. Close it with `close`.

    `wait_seconds` is how long a receive waits where there is no message. On the queue it needs
    `sqs:ReceiveMessage`, `DeleteMessage`, `ChangeMessageVisibility` and `GetQueueAttributes`, to
    send also `SendMessage`, and `GetQueueUrl` on its dead-letter queue.
    """

    def __init__(
        self,
        url: str,
        *,
        visibility_seconds: float | None = None,
        wait_seconds: int = 0,
        limits: TimeLimits = LIMITS,
    ) -> None:
        self._url = url
        self._wait_seconds = wait_seconds
        self._lending: dict[str, object] = {}
        if visibility_seconds is not None:
            self._lending["VisibilityTimeout"] = _pause(visibility_seconds)
        self._aws = AwsClient(
            "sqs",
            replace(limits, read=limits.read + wait_seconds, call=limits.call + wait_seconds),
        )

    async def send(self, message: NewQueueMessage) -> None:
        """Send it. A FIFO queue drops those of one deduplication id for five minutes."""
        answer = await self._call(
            "send_message",
            MessageBody=message.body,
            MessageGroupId=message.group,
            MessageDeduplicationId=message.deduplication_id,
        )
        if not answer.get("MessageId"):
            raise MessageQueueError(f"SQS did not say that the queue {self._url} took a message")

    async def receive(self, *, limit: int = BATCH) -> Sequence[ReceivedMessage]:
        """Ask all of SQS's servers, and wait for what comes."""
        answer = await self._call(
            "receive_message",
            MaxNumberOfMessages=limit,
            WaitTimeSeconds=self._wait_seconds,
            MessageSystemAttributeNames=["MessageGroupId", "ApproximateReceiveCount"],
            **self._lending,
        )
        return [_received(message) for message in answer.get("Messages") or ()]

    async def delete(self, message: ReceivedMessage) -> None:
        """Delete it."""
        await self._call("delete_message", ReceiptHandle=message.receipt)

    async def put_back(self, message: ReceivedMessage, *, seconds: float) -> None:
        """Change when it is visible again."""
        await self._call(
            "change_message_visibility",
            ReceiptHandle=message.receipt,
            VisibilityTimeout=_pause(seconds),
        )

    async def count(self) -> int:
        """Count what is visible; SQS is right within about a minute."""
        attributes = await self._attributes("ApproximateNumberOfMessages")
        return int(attributes["ApproximateNumberOfMessages"])

    async def check(self) -> None:
        """See that it is there and may be used. Raises MessageQueueError."""
        await self._attributes("QueueArn")

    async def find_dead_letter_queue(self) -> str | None:
        """Find the URL of the dead-letter queue that the queue names. Raises MessageQueueError."""
        policy = (await self._attributes("RedrivePolicy")).get("RedrivePolicy")
        if policy is None:
            return None
        # arn:aws:sqs:REGION:ACCOUNT:NAME
        *_, account, name = json.loads(policy)["deadLetterTargetArn"].split(":")
        with _translated(f"the dead-letter queue {name}"):
            found = await self._aws.call(
                "get_queue_url", QueueName=name, QueueOwnerAWSAccountId=account
            )
        return str(found["QueueUrl"])

    def close(self) -> None:
        """Close the connections."""
        self._aws.close()

    async def _attributes(self, name: str) -> Mapping[str, str]:
        answer = await self._call("get_queue_attributes", AttributeNames=[name])
        attributes: Mapping[str, str] = answer.get("Attributes") or {}
        return attributes

    async def _call(self, operation: str, **arguments: object) -> Mapping[str, Any]:
        with _translated(f"the queue {self._url}"):
            return await self._aws.call(operation, QueueUrl=self._url, **arguments)


class _translated(AbstractContextManager[None]):  # noqa: N801  named as what a block is
    """Raise MessageQueueError for what AWS says."""

    def __init__(self, queue: str) -> None:
        self._queue = queue

    def __exit__(
        self, _kind: object, error: BaseException | None, _traceback: TracebackType | None
    ) -> None:
        """Raise in the failure's place what it means."""
        if isinstance(error, AwsFailure):
            raise MessageQueueError(f"{_WORDS[error.kind]} {self._queue} ({error.code})") from error


_WORDS = {
    FailureKind.DENIED: "SQS needs credentials, a region and permissions for",
    FailureKind.MISSING: "SQS has no such thing in this account and region:",
    FailureKind.REFUSED: "SQS refused a request for",
    FailureKind.AWAY: "SQS cannot be reached, or failed, for",
}


def _received(message: Mapping[str, Any]) -> ReceivedMessage:
    attributes = message.get("Attributes") or {}
    return ReceivedMessage(
        id=message["MessageId"],
        # A standard queue has no groups: there each message is one of its own.
        group=attributes.get("MessageGroupId", message["MessageId"]),
        body=message["Body"],
        receives=int(attributes.get("ApproximateReceiveCount", 1)),
        receipt=message["ReceiptHandle"],
    )


def _pause(seconds: float) -> int:
    return min(math.ceil(seconds), LONGEST_PAUSE)
