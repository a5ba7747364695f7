"""`prosa recover`: sees to turns that crashed processes have left behind."""

import asyncio
import contextlib
import json
import signal
from collections.abc import Awaitable
from dataclasses import asdict
from typing import Annotated

import typer

from prosa.application.recover_turns import Recovered, RecoverTurns
from prosa.bootstrap import RECOVER_SECONDS, bootstrap
from prosa.bootstrap.parts import Chore
from prosa.bootstrap.storage import naming_database
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
    settings = Settings()
    set_up_logging(settings.log_level)
    recovered = asyncio.run(_recover(settings, once=once, quiet=as_json))
    typer.echo(json.dumps(asdict(recovered)) if as_json else _told(recovered))


async def _recover(settings: Settings, *, once: bool, quiet: bool) -> Recovered:
    async with bootstrap(settings) as app:
        recovering = _Recovering(app.recover_turns)
        if once:
            with naming_database(settings):
                await _until_signal(recovering.until_nothing_is_due())
            return recovering.recovered
        if not quiet:
            typer.echo(f"Recovering turns of {settings.database_place}; Ctrl-C ends it.")
        chore = Chore(
            name="recovering turns", work=recovering.one_pass, every_seconds=RECOVER_SECONDS
        )
        await _until_signal(ChoreLoop(chore).run())
        return recovering.recovered


class _Recovering:
    """Makes passes, and keeps what they came to together."""

    def __init__(self, recover_turns: RecoverTurns) -> None:
        self.recovered = Recovered()
        self._recover_turns = recover_turns

    async def one_pass(self) -> bool:
        """Recover what is due, and tell whether anything was."""
        found = await self._recover_turns()
        self.recovered += found
        return found != Recovered()

    async def until_nothing_is_due(self) -> None:
        while await self.one_pass():
            pass


async def _until_signal(work: Awaitable[None]) -> None:
    """Work until it is done; Ctrl-C and the like cancel it, and turns that run are failed."""
    working = asyncio.ensure_future(work)
    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, working.cancel)
    with contextlib.suppress(asyncio.CancelledError):
        await working


def _told(recovered: Recovered) -> str:
    if recovered == Recovered():
        return "No turn had crashed."
    return f"Crashed turns: {recovered.run_again} run again, {recovered.failed} failed."
