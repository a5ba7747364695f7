"""Sees, by a schedule, to turns that ended functions have left behind."""

# ruff: noqa: PLC0415 - what a function needs is loaded while the collector rests

import asyncio
import logging
from dataclasses import asdict
from typing import TYPE_CHECKING

from prosa.entrypoints.aws_lambda.runtime import Work, opened_with_application

if TYPE_CHECKING:
    from prosa.application.recover_turns import Recovered, RecoverTurns
    from prosa.bootstrap import App

logger = logging.getLogger(__name__)


def _prepare(app: "App") -> Work:
    async def recover(_event: object, seconds: float) -> dict[str, int]:
        return asdict(await recover_within(app.recover_turns, seconds))

    return recover


__getattr__ = opened_with_application(_prepare)


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
