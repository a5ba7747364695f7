"""`prosa relay`: carries events from the outbox to the bus."""

import asyncio
import json
from dataclasses import asdict
from typing import Annotated

import typer

from prosa.application.relay_outbox import Relayed
from prosa.bootstrap.events import open_relay
from prosa.bootstrap.parts import Chore
from prosa.bootstrap.secrets import read_settings
from prosa.bootstrap.storage import naming_database
from prosa.entrypoints.cli.in_words import counted
from prosa.entrypoints.cli.passes import Passes, counted_at_its_end, until_stopped
from prosa.entrypoints.logs import set_up_logging
from prosa.entrypoints.loops import ChoreLoop
from prosa.settings import Settings

SECONDS_BETWEEN = 2.0


def relay(
    *,
    once: Annotated[bool, typer.Option("--once", help="End when nothing is due any more.")] = False,
    parked: Annotated[
        bool, typer.Option("--parked", help="Try the parked events again, too.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Carry events from the outbox to the bus, until Ctrl-C.

    `prosa serve` does so as well; several may. With --once it exits with 0 where the bus took
    everything, else with 1.
    """
    settings = read_settings()
    set_up_logging(settings)
    relayed = asyncio.run(_relay(settings, once=once, parked=parked, quiet=as_json))
    typer.echo(json.dumps(asdict(relayed)) if as_json else _told(relayed))
    raise typer.Exit(1 if once and (relayed.failed or relayed.parked) else 0)


async def _relay(settings: Settings, *, once: bool, parked: bool, quiet: bool) -> Relayed:
    async with open_relay(settings) as opened:
        if parked:
            unparked = await opened.outbox.unpark()
            _say(f"{counted(unparked, 'event')} parked before: tried again.", quiet=quiet)
        passes = Passes(counted_at_its_end(opened.relay_outbox.relay_batch), Relayed())
        if once:
            with naming_database(settings):
                await until_stopped(passes.until_nothing_is_due(), passes.stop)
            return passes.total
        _say(
            f"Relaying events of {settings.database_place} to {settings.event_bus}; "
            "Ctrl-C ends it.",
            quiet=quiet,
        )
        chore = Chore(name=opened.chore.name, work=passes.one, every_seconds=SECONDS_BETWEEN)
        loop = ChoreLoop(chore)
        await until_stopped(loop.run(), loop.stop)
        return passes.total


def _say(text: str, *, quiet: bool) -> None:
    if not quiet:
        typer.echo(text)


def _told(relayed: Relayed) -> str:
    if not relayed.taken:
        return "No event was due."
    told = f"Published {counted(relayed.published, 'event')}."
    if relayed.failed:
        told += f" The bus refused {counted(relayed.failed, 'event')}: tried again later."
    if relayed.parked:
        told += f" Parked {counted(relayed.parked, 'event')}: the log says why; see --parked."
    return told
