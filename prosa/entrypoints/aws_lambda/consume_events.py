"""Consumes customers' messages that other services put on EventBridge, one an invocation.

The `detail` is what channels push to the queue: `conversation.message.received.v1`. EventBridge has
Lambda invoke the function asynchronously, so an error is an event that comes again, twice, and goes
to the function's on-failure destination or dead-letter queue then.
Source: https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-error-handling.html
"""

# ruff: noqa: PLC0415 - what a function needs is loaded while the collector rests

import asyncio
import json
import logging
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from prosa.entrypoints.aws_lambda.runtime import Work, opened_with_application

if TYPE_CHECKING:
    from prosa.application.ports.message_queue import ReceivedMessage
    from prosa.bootstrap import App
    from prosa.entrypoints.consuming import ConsumeMessages

Answer = dict[str, bool]

logger = logging.getLogger(__name__)


class NotConsumedError(Exception):
    """An event had no effect yet, and is to come again. Says why, and nothing of the event."""


def _prepare(app: "App") -> Work:
    from prosa.entrypoints.consuming import consume_messages_of

    consume = consume_messages_of(app)
    return lambda event, seconds: consume_within(consume, message_of(event), seconds)


__getattr__ = opened_with_application(_prepare)


async def consume_within(
    consume: "ConsumeMessages", message: "ReceivedMessage", seconds: float
) -> Answer:
    """Consume an event, and tell whether it had its effect: one that is refused never will.

    Raises NotConsumedError for what may pass.
    """
    from prosa.entrypoints.consuming import REFUSALS, reason_of

    try:
        async with asyncio.timeout(seconds):
            await consume.one(message)
    except REFUSALS as error:
        logger.error("event %s is refused, and not tried again: %s", message.id, reason_of(error))  # noqa: TRY400 - no traceback is needed for what somebody else did wrong
        return {"consumed": False}
    except TimeoutError:
        raise NotConsumedError("the time is up: its turn failed, and may run again") from None
    except Exception as error:  # noqa: BLE001 - Lambda shows what leaves, and some quote customers
        raise NotConsumedError(reason_of(error)) from None
    return {"consumed": True}


def message_of(event: Mapping[str, Any]) -> "ReceivedMessage":
    """Read the message that an event carries; what is none of these is refused like any other."""
    from prosa.application.ports.message_queue import ReceivedMessage

    event_id = str(event.get("id"))
    body = json.dumps(event.get("detail"))
    return ReceivedMessage(id=event_id, group=event_id, body=body, receives=1, receipt=event_id)
