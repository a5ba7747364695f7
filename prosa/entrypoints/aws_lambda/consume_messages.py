"""Consumes what channels push to an SQS FIFO queue, with partial batch responses.

Set `ReportBatchItemFailures` on the event source mapping: what is not named as failed is deleted.
Source: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
"""

# ruff: noqa: PLC0415 - what a function needs is loaded while the collector rests

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from prosa.entrypoints.aws_lambda.runtime import Work, opened_with_application

if TYPE_CHECKING:
    from prosa.application.ports.message_queue import ReceivedMessage
    from prosa.bootstrap import App
    from prosa.entrypoints.consuming import ConsumeMessages

Answer = dict[str, list[dict[str, str]]]

logger = logging.getLogger(__name__)


def _prepare(app: "App") -> Work:
    from prosa.entrypoints.consuming import consume_messages_of

    consume = consume_messages_of(app)
    return lambda event, seconds: consume_within(consume, messages_of(event), seconds)


__getattr__ = opened_with_application(_prepare)


async def consume_within(
    consume: "ConsumeMessages", messages: "Sequence[ReceivedMessage]", seconds: float
) -> Answer:
    """Consume messages, and name those that SQS is to keep: all of them when the time is up.

    Those that had their effect by then have no other when they come again.
    """
    try:
        async with asyncio.timeout(seconds):
            return _keeping(one.message for one in await consume(messages))
    except TimeoutError:
        logger.warning("the time is up: turns that ran have failed, and the messages come again")
        return _keeping(messages)


def messages_of(event: Mapping[str, Any]) -> "list[ReceivedMessage]":
    """Read the messages of an event, in its order."""
    return [_message(record) for record in event["Records"]]


def _message(record: Mapping[str, Any]) -> "ReceivedMessage":
    from prosa.application.ports.message_queue import ReceivedMessage

    attributes = record.get("attributes") or {}
    return ReceivedMessage(
        id=record["messageId"],
        group=attributes.get("MessageGroupId", record["messageId"]),
        body=record["body"],
        receives=int(attributes.get("ApproximateReceiveCount", 1)),
        receipt=record["receiptHandle"],
    )


def _keeping(messages: "Iterable[ReceivedMessage]") -> Answer:
    return {"batchItemFailures": [{"itemIdentifier": message.id} for message in messages]}
