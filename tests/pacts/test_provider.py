"""The application keeps every pact: over HTTP, and in what its outbox holds, on each database."""

import asyncio
import logging
import os
from collections.abc import AsyncIterator

import pytest
from pact import Verifier

from prosa.adapters.event_format import BREAKER_MOVED
from prosa.adapters.log.event_bus import logger as events_log
from tests.pacts import channel, event_reader, order_desk, web_client
from tests.pacts.interactions import PROVIDER
from tests.pacts.provider import (
    Provider,
    events_in_outbox,
    happen,
    reply_to_a_channel,
    running_provider,
    served_events,
    served_states,
)
from tests.pacts.written import file_of
from tests.sqs import a_queue, waiting


@pytest.fixture(params=["sqlite_url", "postgres_url"])
def database_url(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(request.param)
    return url


@pytest.fixture(autouse=True)
def _usage_is_not_reported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PACT_DO_NOT_TRACK", "true")


@pytest.fixture
async def provider(database_url: str) -> AsyncIterator[Provider]:
    async with running_provider(database_url) as provider:
        yield provider


def verifier_of(consumer: str) -> Verifier:
    """Verify a consumer's committed pact; or, where CI names a broker, those that are there.

    Then the broker is told what came of it, for whoever asks it what may be deployed.
    """
    verifier = Verifier(PROVIDER, host="127.0.0.1")
    if "PACT_BROKER_BASE_URL" not in os.environ:
        return verifier.add_source(file_of(consumer))
    verifier.set_publish_options(os.environ["GITHUB_SHA"], branch=os.environ["GITHUB_REF_NAME"])
    return verifier.filter_consumers(consumer).broker_source()


async def verify(verifier: Verifier) -> None:
    """Verify in a thread, since who is asked runs in this one."""
    try:
        await asyncio.to_thread(verifier.verify)
    except RuntimeError:
        # Joined, for it is no ordinary text, and pytest cannot take its kind apart.
        said = "".join(verifier.output(strip_ansi=True))
        raise AssertionError(said[max(said.find("Failures:"), 0) :]) from None


@pytest.mark.parametrize("consumer", [web_client.CONSUMER, order_desk.CONSUMER])
async def test_the_api_is_what_its_consumers_rely_on(provider: Provider, consumer: str) -> None:
    verifier = verifier_of(consumer).add_transport(url=provider.url)
    async with served_states(provider) as states:
        await verify(verifier.state_handler(states, teardown=True, body=True))


async def test_published_events_are_what_their_reader_relies_on(
    database_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.INFO, events_log.name):
        async with running_provider(database_url, breaker_failures=3) as provider:
            tenant = await happen(provider)
    stored = await events_in_outbox(database_url, tenant)
    # This one is not stored: it is what the bus was given.
    given = [record.message for record in caplog.records if record.name == events_log.name]
    moved = next(envelope for envelope in given if BREAKER_MOVED in envelope)
    async with served_events({**stored, BREAKER_MOVED: moved}) as port:
        verifier = verifier_of(event_reader.CONSUMER)
        await verify(verifier.add_transport(protocol="message", port=port, path="/"))


@pytest.mark.usefixtures("aws")
async def test_a_reply_for_a_channel_is_what_its_software_relies_on(database_url: str) -> None:
    queue = await asyncio.to_thread(a_queue)
    async with running_provider(database_url, reply_queue=queue) as provider:
        await reply_to_a_channel(provider)
    (message,) = await asyncio.to_thread(waiting, queue)
    async with served_events({channel.REPLY_READY: message["Body"]}) as port:
        verifier = verifier_of(channel.CONSUMER)
        await verify(verifier.add_transport(protocol="message", port=port, path="/"))
