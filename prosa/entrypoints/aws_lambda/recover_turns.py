"""Sees, by a schedule, to turns that ended functions have left behind."""

# ruff: noqa: PLC0415 - what a function needs is loaded while the collector rests

import asyncio
import logging
from dataclasses import asdict
from typing import TYPE_CHECKING

from prosa.entrypoints.aws_lambda.runtime import (
    SECONDS_TO_GIVE_UP,
    SPARE_SECONDS,
    Container,
    Handler,
    InvocationContext,
    opened_when_asked_for,
    read_settings_behind_the_door,
    seconds_to_use,
)

if TYPE_CHECKING:
    from prosa.application.recover_turns import Recovered, RecoverTurns

logger = logging.getLogger(__name__)


def _open() -> Handler:
    from prosa.bootstrap import bootstrap

    container = Container(bootstrap(read_settings_behind_the_door()))

    def recover(_event: object, context: InvocationContext) -> dict[str, int]:
        seconds = seconds_to_use(context, SPARE_SECONDS + SECONDS_TO_GIVE_UP)
        return asdict(container.run(recover_within(container.opened.recover_turns, seconds)))

    return recover


__getattr__ = opened_when_asked_for(_open)


async def recover_within(recover_turns: "RecoverTurns", seconds: float) -> "Recovered":
    """Recover until nothing is due or the time is up. Raises StorageUnavailable."""
    from prosa.application.recover_turns import Recovered

    recovered = Recovered()

    def count(found: Recovered) -> None:
        nonlocal recovered
        recovered += found

    try:
        async with asyncio.timeout(seconds):
            while await recover_turns(count) != Recovered():
                pass
    except TimeoutError:
        logger.warning("the time is up: turns that ran have failed, and others wait")
    return recovered
