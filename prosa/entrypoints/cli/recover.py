"""`prosa recover`: sees to turns that crashed processes have left behind."""

import asyncio
import json
from dataclasses import asdict
from typing import Annotated

import typer

from prosa.application.recover_turns import Recovered
from prosa.bootstrap import RECOVER_SECONDS, bootstrap
from prosa.bootstrap.parts import Chore
from prosa.bootstrap.secrets import read_settings
from prosa.bootstrap.storage import naming_database
from prosa.entrypoints.cli.passes import Passes, until_broken_off
from prosa.entrypoints.logs import set_up_logging
from prosa.entrypoints.loops import ChoreLoop
from prosa.settings import Settings


def recover(
    *,
    once: Annotated[bool, typer.Option("--once", help="End when nothing is due any more.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """See to turns that crashed processes have left behind, until Ctrl-C.

    Those for which no caller waits are run again, the others failed, so that their keys may run
    them again. `prosa serve` does so as well; several may.
    """
    settings = read_settings()
    set_up_logging(settings)
    recovered = asyncio.run(_recover(settings, once=once, quiet=as_json))
    typer.echo(json.dumps(asdict(recovered)) if as_json else _told(recovered))


async def _recover(settings: Settings, *, once: bool, quiet: bool) -> Recovered:
    async with bootstrap(settings) as app:
        passes = Passes(app.recover_turns, Recovered())
        if once:
            with naming_database(settings):
                await until_broken_off(passes.until_nothing_is_due())
            return passes.total
        if not quiet:
            typer.echo(f"Recovering turns of {settings.database_place}; Ctrl-C ends it.")
        chore = Chore(name="recovering turns", work=passes.one, every_seconds=RECOVER_SECONDS)
        # Turns that run are failed then: their keys may run them again at once.
        await until_broken_off(ChoreLoop(chore).run())
        return passes.total


def _told(recovered: Recovered) -> str:
    if recovered == Recovered():
        return "No turn had crashed."
    again = f" (of which {recovered.failed_again} failed again)" if recovered.failed_again else ""
    return f"Crashed turns: {recovered.run_again} run again{again}, {recovered.failed} failed."
