"""Relays the outbox, by a schedule: what answers had no time for, or the bus refused for now."""

import asyncio
import logging
from dataclasses import asdict

from prosa.application.relay_outbox import Relayed, RelayOutbox
from prosa.bootstrap import open_relay
from prosa.entrypoints.aws_lambda.runtime import (
    Container,
    Handler,
    InvocationContext,
    opened_when_asked_for,
    read_settings,
    seconds_to_use,
)

logger = logging.getLogger(__name__)


def _open() -> Handler:
    container = Container(open_relay(read_settings()))

    def relay(_event: object, context: InvocationContext) -> dict[str, int]:
        relay_outbox = container.opened.relay_outbox
        return asdict(container.run(relay_within(relay_outbox, seconds_to_use(context))))

    return relay


__getattr__ = opened_when_asked_for(_open)


async def relay_within(relay_outbox: RelayOutbox, seconds: float) -> Relayed:
    """Relay until nothing is due or the time is up. Raises EventBusError, StorageUnavailable."""
    relayed = Relayed()
    try:
        async with asyncio.timeout(seconds):
            while (batch := await relay_outbox.relay_batch()).taken:
                relayed += batch
    except TimeoutError:
        logger.warning("the time is up: what is left is relayed the next time")
    return relayed
