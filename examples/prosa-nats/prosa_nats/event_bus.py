"""An event bus on NATS JetStream: https://docs.nats.io/nats-concepts/jetstream."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import nats
from nats.errors import Error as NatsError
from nats.errors import MaxPayloadError
from nats.js import JetStreamContext
from nats.js.errors import APIError

from prosa import EventBus, EventBusError, PublishedEvent, RefusedEvent, TryAgain

logger = logging.getLogger(__name__)

SUBJECT = "prosa.events"
SECONDS = 5.0
"""How long the server may take to say that it has stored what it was handed."""

LARGER_THAN_THE_STREAM_TAKES = 10054
"""https://github.com/nats-io/nats-server/blob/main/server/errors.json"""


class NatsEventBus(EventBus):
    """Publishes each event on the subject `prosa.events.` and its type; a stream has to take them.

    An event's id is its `Nats-Msg-Id`: the stream drops one that comes twice within its window.
    """

    def __init__(self, jetstream: JetStreamContext, *, seconds: float = SECONDS) -> None:
        self._jetstream = jetstream
        self._seconds = seconds

    async def publish(self, events: Sequence[PublishedEvent]) -> tuple[RefusedEvent, ...]:
        """Send all events, then wait until each is stored."""
        outcomes = await asyncio.gather(*(self._publish(event) for event in events))
        refused = tuple(outcome for outcome in outcomes if outcome is not None)
        unheard = [one for one in refused if one.try_again is TryAgain.AT_ONCE]
        if unheard and len(unheard) == len(events):
            raise EventBusError(unheard[0].reason)
        return refused

    async def check(self) -> None:
        """See that a stream takes events."""
        with _translated():
            await self._jetstream.find_stream_name_by_subject(f"{SUBJECT}.>")

    async def _publish(self, event: PublishedEvent) -> RefusedEvent | None:
        try:
            await self._jetstream.publish(
                f"{SUBJECT}.{event.type}",
                event.envelope.encode(),
                timeout=self._seconds,
                headers={"Nats-Msg-Id": event.id},
            )
        except MaxPayloadError:
            return _refused(event, "it is larger than the server takes", TryAgain.NEVER)
        except APIError as error:
            hopeless = error.err_code == LARGER_THAN_THE_STREAM_TAKES
            again = TryAgain.NEVER if hopeless else TryAgain.LATER
            return _refused(event, f"JetStream does not take it ({error.err_code})", again)
        except (NatsError, OSError) as error:
            return _refused(
                event, f"NATS did not answer ({type(error).__name__})", TryAgain.AT_ONCE
            )
        return None


@asynccontextmanager
async def open_event_bus(url: str, *, seconds: float = SECONDS) -> AsyncIterator[NatsEventBus]:
    """Connect to a server, again where it goes away, and close the connection in the end.

    Raises EventBusError where it is not there within `seconds`.
    """
    with _translated():
        async with asyncio.timeout(seconds):
            connection = await nats.connect(url, max_reconnect_attempts=-1, error_cb=_log)
    try:
        yield NatsEventBus(connection.jetstream(), seconds=seconds)
    finally:
        await connection.close()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except (NatsError, OSError) as error:
        raise EventBusError(f"NATS cannot be used: {type(error).__name__}") from error


def _refused(event: PublishedEvent, reason: str, try_again: TryAgain) -> RefusedEvent:
    return RefusedEvent(id=event.id, reason=reason, try_again=try_again)


async def _log(error: Exception) -> None:
    """Take what goes wrong behind the calls: the connection, which is made again."""
    logger.warning("NATS: %s", type(error).__name__)
