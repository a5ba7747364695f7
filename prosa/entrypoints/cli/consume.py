"""`prosa consume`: takes the messages that channels push to a queue."""

import asyncio
import json
from dataclasses import asdict
from functools import partial
from typing import Annotated

import typer

from prosa.bootstrap import bootstrap
from prosa.bootstrap.parts import Chore
from prosa.bootstrap.queues import open_inbound_queue
from prosa.bootstrap.secrets import read_settings
from prosa.entrypoints.cli.in_words import counted
from prosa.entrypoints.cli.passes import Passes, counted_at_its_end, until_stopped
from prosa.entrypoints.consuming import Consumed, consume_batch, consume_messages_of
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
    settings = read_settings()
    set_up_logging(settings)
    consumed = asyncio.run(_consume(settings, once=once, quiet=as_json))
    typer.echo(json.dumps(asdict(consumed)) if as_json else _told(consumed))
    raise typer.Exit(1 if once and consumed.left else 0)


async def _consume(settings: Settings, *, once: bool, quiet: bool) -> Consumed:
    wait = WAIT_SECONDS_ONCE if once else WAIT_SECONDS
    opening = open_inbound_queue(settings, wait_seconds=wait)
    async with opening as queue, bootstrap(settings) as app:
        consume_messages = consume_messages_of(app)
        passes = Passes(
            counted_at_its_end(partial(consume_batch, queue, consume_messages)), Consumed()
        )
        if once:
            await until_stopped(passes.until_nothing_is_due(), passes.stop)
            return passes.total
        if not quiet:
            typer.echo(f"Consuming messages of {settings.inbound_queue}; Ctrl-C ends it.")
        chore = Chore(name="consuming messages", work=passes.one, every_seconds=ALWAYS)
        loop = ChoreLoop(chore)
        # Turns that are broken off are failed, and their messages come again.
        async with doing(app.chores):
            await until_stopped(loop.run(), loop.stop)
        return passes.total


def _told(consumed: Consumed) -> str:
    if consumed == Consumed():
        return "No message was due."
    told = f"Consumed {counted(consumed.consumed, 'message')}."
    if consumed.left:
        told += f" Left {counted(consumed.left, 'message')} in the queue: the log says why."
    return told
