"""Consumes what channels push to an SQS FIFO queue, with partial batch responses.

Set `ReportBatchItemFailures` on the event source mapping: what is not named as failed is deleted.
Source: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from prosa.application.ports.message_queue import ReceivedMessage
from prosa.bootstrap import bootstrap
from prosa.entrypoints.aws_lambda.runtime import (
    SPARE_SECONDS,
    Container,
    Handler,
    InvocationContext,
    opened_when_asked_for,
    read_settings,
    seconds_to_use,
)
from prosa.entrypoints.consuming import ConsumeMessages

SECONDS_TO_GIVE_UP = 2.5
"""How long turns that run when the time is up may take to store that they failed."""

Answer = dict[str, list[dict[str, str]]]

logger = logging.getLogger(__name__)


def _open() -> Handler:
    container = Container(bootstrap(read_settings()))
    consume = ConsumeMessages(container.opened.take_turn, container.opened.deliver_reply)

    def consume_messages(event: Mapping[str, Any], context: InvocationContext) -> Answer:
        seconds = seconds_to_use(context, SPARE_SECONDS + SECONDS_TO_GIVE_UP)
        return container.run(consume_within(consume, messages_of(event), seconds))

    return consume_messages


__getattr__ = opened_when_asked_for(_open)


async def consume_within(
    consume: ConsumeMessages, messages: Sequence[ReceivedMessage], seconds: float
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


def messages_of(event: Mapping[str, Any]) -> list[ReceivedMessage]:
    """Read the messages of an event, in its order."""
    return [_message(record) for record in event["Records"]]


def _message(record: Mapping[str, Any]) -> ReceivedMessage:
    attributes = record.get("attributes") or {}
    return ReceivedMessage(
        id=record["messageId"],
        group=attributes.get("MessageGroupId", record["messageId"]),
        body=record["body"],
        receives=int(attributes.get("ApproximateReceiveCount", 1)),
        receipt=record["receiptHandle"],
    )


def _keeping(messages: Iterable[ReceivedMessage]) -> Answer:
    return {"batchItemFailures": [{"itemIdentifier": message.id} for message in messages]}
