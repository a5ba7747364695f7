"""Opens the queues of channels, and what runs turns elsewhere."""

# ruff: noqa: PLC0415 - each technology is imported only where it is configured, by whoever uses it

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from importlib import import_module

from prosa.application.ports.message_queue import BATCH, MessageQueue
from prosa.application.ports.reply_outlet import ReplyOutlet
from prosa.application.ports.turn_runner import TurnRunner
from prosa.bootstrap.packages import required_packages
from prosa.domain.errors import ConfigurationError
from prosa.domain.turn import LEASE_AFTER_DEADLINE
from prosa.settings import Settings

REDRIVE_SECONDS = 60.0
"""How long a batch of dead letters is lent to whoever moves it: less than SQS knows duplicates."""


@asynccontextmanager
async def open_turn_runner(settings: Settings) -> AsyncIterator[TurnRunner | None]:
    """Open what PROSA_TURN_RUNNER names; nothing is sent yet. Raises ConfigurationError."""
    _, _, state_machine = settings.turn_runner.partition(":")
    if not state_machine:
        yield None
        return
    with required_packages("PROSA_TURN_RUNNER names step_functions", extra="aws"):
        import_module("botocore")
        from prosa.adapters.step_functions.turn_runner import StepFunctionsTurnRunner
    with closing(StepFunctionsTurnRunner(state_machine)) as runner:
        yield runner


@asynccontextmanager
async def open_inbound_queue(
    settings: Settings, *, wait_seconds: int
) -> AsyncIterator[MessageQueue]:
    """Open the queue to which channels push messages, and wait for them so long at a time.

    Raises ConfigurationError, also where it has no dead-letter queue: a message that is refused
    would hold up its group for ever. Raises MessageQueueError.
    """
    async with open_redrive(settings, wait_seconds=wait_seconds) as (queue, _):
        yield queue


@asynccontextmanager
async def open_redrive(
    settings: Settings, *, wait_seconds: int = 1
) -> AsyncIterator[tuple[MessageQueue, MessageQueue]]:
    """Open the queue to which channels push messages, and its dead-letter queue.

    Raises ConfigurationError, MessageQueueError.
    """
    url = settings.inbound_queue
    if url is None:
        raise ConfigurationError("set PROSA_INBOUND_QUEUE to the URL of an SQS FIFO queue")
    with required_packages("PROSA_INBOUND_QUEUE names a queue of SQS", extra="aws"):
        import_module("botocore")
        from prosa.adapters.sqs.message_queue import SqsMessageQueue
    # Where all of a batch are of one group, they are taken one after the other.
    seconds = BATCH * (settings.deadline_seconds + LEASE_AFTER_DEADLINE.total_seconds())
    queue = SqsMessageQueue(url, visibility_seconds=seconds, wait_seconds=wait_seconds)
    with closing(queue):
        dead_letters_url = await queue.find_dead_letter_queue()
        if dead_letters_url is None:
            raise ConfigurationError(
                f"PROSA_INBOUND_QUEUE: {url} has no dead-letter queue; give it a redrive policy"
            )
        dead_letters = SqsMessageQueue(
            dead_letters_url, visibility_seconds=REDRIVE_SECONDS, wait_seconds=wait_seconds
        )
        with closing(dead_letters):
            yield queue, dead_letters


@asynccontextmanager
async def open_reply_outlet(settings: Settings) -> AsyncIterator[ReplyOutlet | None]:
    """Open the queue that PROSA_REPLY_QUEUE names; nothing is sent yet."""
    if settings.reply_queue is None:
        yield None
        return
    with required_packages("PROSA_REPLY_QUEUE names a queue of SQS", extra="aws"):
        import_module("botocore")
        from prosa.adapters.sqs.reply_outlet import SqsReplyOutlet
    with closing(SqsReplyOutlet(settings.reply_queue)) as outlet:
        yield outlet
