"""Relays the outbox, by a schedule: what answers had no time for, or the bus refused for now."""

# ruff: noqa: PLC0415 - what a function needs is loaded while the collector rests

import asyncio
import logging
from dataclasses import asdict
from typing import TYPE_CHECKING

from prosa.entrypoints.aws_lambda.runtime import (
    Container,
    Handler,
    InvocationContext,
    opened_when_asked_for,
    read_settings,
    seconds_to_use,
)

if TYPE_CHECKING:
    from prosa.application.relay_outbox import Relayed, RelayOutbox

logger = logging.getLogger(__name__)


def _open() -> Handler:
    from prosa.bootstrap.events import open_relay

    container = Container(open_relay(read_settings()))

    def relay(_event: object, context: InvocationContext) -> dict[str, int]:
        relay_outbox = container.opened.relay_outbox
        return asdict(container.run(relay_within(relay_outbox, seconds_to_use(context))))

    return relay


__getattr__ = opened_when_asked_for(_open)


async def relay_within(relay_outbox: "RelayOutbox", seconds: float) -> "Relayed":
    """Relay until nothing is due or the time is up. Raises EventBusError, StorageUnavailable."""
    from prosa.application.relay_outbox import Relayed

    relayed = Relayed()
    try:
        async with asyncio.timeout(seconds):
            while (batch := await relay_outbox.relay_batch()).taken:
                relayed += batch
    except TimeoutError:
        logger.warning("the time is up: what is left is relayed the next time")
    return relayed
