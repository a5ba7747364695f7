"""NatsEventBus keeps the contract of event buses, and what is its own."""

import json
from collections.abc import AsyncIterator, Sequence
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
from nats.js import JetStreamContext
from nats_server import STREAM, NatsServer
from prosa_nats import NatsEventBus, open_event_bus

from prosa import CustomerMessage, EventBus, EventBusError, TryAgain
from prosa.testing import EventBusContract, some_events
from prosa.testing.plugin import OpenProsa


async def stored_in(jetstream: JetStreamContext) -> list[str]:
    """Read all that is in the stream, in order."""
    state = (await jetstream.stream_info(STREAM)).state
    numbers = range(state.first_seq, state.first_seq + state.messages)
    messages = [await jetstream.get_msg(STREAM, number) for number in numbers]
    return [(message.data or b"").decode() for message in messages]


class TestNatsEventBus(EventBusContract):
    @pytest.fixture
    def event_bus(self, jetstream: JetStreamContext) -> EventBus:
        self._jetstream = jetstream
        return NatsEventBus(jetstream)

    @pytest.fixture
    async def broken(self, tmp_path: Path) -> AsyncIterator[EventBus]:
        server = NatsServer(tmp_path)
        connection = await server.connect()
        server.kill()
        yield NatsEventBus(connection.jetstream(), seconds=0.2)
        with suppress(OSError):  # there is nobody to say goodbye to
            await connection.close()

    async def arrived(self, event_bus: EventBus) -> Sequence[str]:
        assert isinstance(event_bus, NatsEventBus)
        return await stored_in(self._jetstream)


async def test_an_event_that_comes_twice_is_stored_once(jetstream: JetStreamContext) -> None:
    (event,) = some_events(1)
    bus = NatsEventBus(jetstream)
    for _ in range(3):
        assert await bus.publish([event]) == ()
    assert await stored_in(jetstream) == [event.envelope]


@pytest.mark.parametrize("size", [200_000, 2_000_000], ids=["the stream", "the server"])
async def test_an_event_that_is_too_large_is_refused_alone(
    jetstream: JetStreamContext, size: int
) -> None:
    first, large, last = some_events(3)
    large = replace(large, envelope="x" * size)
    (refused,) = await NatsEventBus(jetstream).publish([first, large, last])
    assert (refused.id, refused.try_again) == (large.id, TryAgain.NEVER)
    assert "xxx" not in refused.reason
    assert await stored_in(jetstream) == [first.envelope, last.envelope]


async def test_without_a_stream_it_is_of_no_use(server: NatsServer) -> None:
    async with open_event_bus(server.url) as bus:
        with pytest.raises(EventBusError):
            await bus.check()
        with pytest.raises(EventBusError):
            await bus.publish(some_events(1))


async def test_a_server_that_is_not_there_is_an_error() -> None:
    with pytest.raises(EventBusError):
        async with open_event_bus("nats://127.0.0.1:9", seconds=0.2):
            pass


async def test_the_events_of_an_application_arrive(
    open_prosa: OpenProsa, jetstream: JetStreamContext
) -> None:
    async with open_prosa(event_bus=NatsEventBus(jetstream)) as app:
        outcome = await app.take_turn(CustomerMessage(text="Cadê meu pedido?"))
        while (await app.relay_outbox.relay_batch()).taken:
            pass
    stored = map(json.loads, await stored_in(jetstream))
    # The server may be late with what an earlier test sent.
    types = [event["type"] for event in stored if event["subject"] == outcome.turn.conversation_id]
    assert types[0] == "conversation.started.v1"
    assert types[-1] == "conversation.turn.completed.v1"
