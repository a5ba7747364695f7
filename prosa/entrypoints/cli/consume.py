"""`prosa consume`: takes the messages that channels push to a queue."""

import asyncio
import contextlib
import json
import signal
from collections.abc import Callable, Coroutine
from dataclasses import asdict
from typing import Annotated

import typer

from prosa.application.ports.message_queue import MessageQueue
from prosa.bootstrap import bootstrap
from prosa.bootstrap.parts import Chore
from prosa.bootstrap.queues import open_inbound_queue
from prosa.entrypoints.consuming import Consumed, ConsumeMessages, consume_batch
from prosa.entrypoints.logs import set_up_logging
from prosa.entrypoints.loops import ChoreLoop, doing
from prosa.settings import Settings

WAIT_SECONDS = 5
"""How long the queue waits for messages, and so how long it may take to stop."""

WAIT_SECONDS_ONCE = 1
"""The same, where nobody expects more to come: long enough for SQS to ask all of its servers."""

ALWAYS = 0.0
"""Seconds between two looks: the queue itself waits for messages."""


def consume(
    *,
    once: Annotated[bool, typer.Option("--once", help="End when nothing is due any more.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Take the messages that channels push to PROSA_INBOUND_QUEUE, until Ctrl-C.

    Their replies go to PROSA_REPLY_QUEUE. It relays events and recovers turns as `prosa serve`
    does; several may run. With --once it does neither, and exits with 0 where every message had its
    effect, else with 1.
    """
    settings = Settings()
    set_up_logging(settings.log_level)
    consumed = asyncio.run(_consume(settings, once=once, quiet=as_json))
    typer.echo(json.dumps(asdict(consumed)) if as_json else _told(consumed))
    raise typer.Exit(1 if once and consumed.left else 0)


async def _consume(settings: Settings, *, once: bool, quiet: bool) -> Consumed:
    wait = WAIT_SECONDS_ONCE if once else WAIT_SECONDS
    opening = open_inbound_queue(settings, wait_seconds=wait)
    async with opening as queue, bootstrap(settings) as app:
        consuming = _Consuming(queue, ConsumeMessages(app.take_turn, app.deliver_reply))
        if once:
            await _until_told(consuming.until_nothing_is_due(), consuming.stop)
            return consuming.consumed
        if not quiet:
            typer.echo(f"Consuming messages of {settings.inbound_queue}; Ctrl-C ends it.")
        loop = ChoreLoop(
            Chore(name="consuming messages", work=consuming.one_batch, every_seconds=ALWAYS)
        )
        async with doing(app.chores):
            await _until_told(loop.run(), loop.stop)
        return consuming.consumed


class _Consuming:
    """Consumes batches, and keeps what they came to together."""

    def __init__(self, queue: MessageQueue, consume: ConsumeMessages) -> None:
        self.consumed = Consumed()
        self._queue = queue
        self._consume = consume
        self._stopped = False

    async def one_batch(self) -> bool:
        """Consume what is due, and tell whether anything was."""
        batch = await consume_batch(self._queue, self._consume)
        self.consumed += batch
        return batch != Consumed()

    async def until_nothing_is_due(self) -> None:
        while await self.one_batch() and not self._stopped:
            pass

    def stop(self) -> None:
        self._stopped = True


async def _until_told(work: Coroutine[None, None, None], stop: Callable[[], None]) -> None:
    """Work until it is done or stopped by a signal; a second one breaks it off.

    Turns that run then are failed, and their messages come again.
    """
    working = asyncio.create_task(work)
    told = False

    def tell() -> None:
        nonlocal told
        if told:
            working.cancel()
        told = True
        stop()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, tell)
    with contextlib.suppress(asyncio.CancelledError):
        await working


def _told(consumed: Consumed) -> str:
    if consumed == Consumed():
        return "No message was due."
    told = f"Consumed {messages(consumed.consumed)}."
    if consumed.left:
        told += f" Left {messages(consumed.left)} in the queue: the log says why."
    return told


def messages(count: int) -> str:
    """Say how many messages."""
    return "1 message" if count == 1 else f"{count} messages"
