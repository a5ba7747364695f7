"""`prosa redrive`: moves messages from the dead-letter queue back to their queue."""

import asyncio
import json
from dataclasses import asdict, dataclass
from typing import Annotated

import typer

from prosa.application.redrive_messages import RedriveMessages
from prosa.bootstrap.queues import open_redrive
from prosa.bootstrap.secrets import read_settings
from prosa.entrypoints.cli.in_words import counted
from prosa.entrypoints.logs import set_up_logging
from prosa.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Redriven:
    """How many messages were moved, and how many are in the dead-letter queue now, about."""

    moved: int
    left: int


def redrive(
    *,
    limit: Annotated[
        int | None, typer.Option("--limit", min=1, help="Move so many at most.")
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Count them, and move nothing.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Move what was refused or failed too often back to PROSA_INBOUND_QUEUE.

    First mend what it failed of: the log names it. It may be repeated, also after it broke off.
    """
    settings = read_settings()
    set_up_logging(settings)
    redriven = asyncio.run(_redrive(settings, limit=limit, dry_run=dry_run))
    typer.echo(json.dumps(asdict(redriven)) if as_json else _told(redriven, dry_run=dry_run))


async def _redrive(settings: Settings, *, limit: int | None, dry_run: bool) -> Redriven:
    async with open_redrive(settings) as (queue, dead_letters):
        redrive_messages = RedriveMessages(queue=queue, dead_letters=dead_letters)
        moved = 0 if dry_run else await redrive_messages(limit)
        return Redriven(moved=moved, left=await dead_letters.count())


def _told(redriven: Redriven, *, dry_run: bool) -> str:
    left = f"about {counted(redriven.left, 'message')}" if redriven.left else "nothing"
    if dry_run:
        return f"In the dead-letter queue: {left}."
    return (
        f"Moved {counted(redriven.moved, 'message')} back; left in the dead-letter queue: {left}."
    )
