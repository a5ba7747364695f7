"""What the tests share: a server, and a stream that takes Prosa's events."""

from collections.abc import AsyncIterator, Iterator

import pytest
from nats.js import JetStreamContext
from nats_server import STREAM, NatsServer


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    """Start a server for all tests."""
    server = NatsServer(tmp_path_factory.mktemp("nats"))
    yield server
    server.kill()


@pytest.fixture
async def jetstream(server: NatsServer) -> AsyncIterator[JetStreamContext]:
    """Connect, and have an empty stream take the events."""
    connection = await server.connect()
    jetstream = connection.jetstream()
    await jetstream.add_stream(name=STREAM, subjects=["prosa.events.>"], max_msg_size=100_000)
    yield jetstream
    await jetstream.delete_stream(STREAM)
    await connection.close()
