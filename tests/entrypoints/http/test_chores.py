"""What a server does beside answering: events are published as they happen, and to the end."""

import asyncio
import json

import httpx
import pytest

from prosa.adapters.sql.database import Database
from prosa.adapters.sql.outbox import SqlOutbox
from prosa.application.ports.outbox import Backlog
from prosa.bootstrap import bootstrap
from prosa.bootstrap.events import RELAY_SECONDS
from prosa.entrypoints.http.app import create_app
from prosa.settings import Settings
from tests.entrypoints.http.serving import JSON, LATER, served_on_loopback
from tests.waiting import until, until_idle

OF_A_TURN = [
    "conversation.started.v1",
    "conversation.turn.started.v1",
    "conversation.turn.completed.v1",
]


@pytest.fixture(autouse=True)
def events(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level("INFO", logger="prosa.events")
    return caplog


def published(events: pytest.LogCaptureFixture) -> list[str]:
    messages = [record.getMessage() for record in events.records if record.name == "prosa.events"]
    return [json.loads(message)["type"] for message in messages]


async def test_events_are_published_as_soon_as_they_are_committed(
    sqlite_url: str, events: pytest.LogCaptureFixture
) -> None:
    settings = Settings(models="scripted", database_url=sqlite_url)
    async with served_on_loopback(create_app(lambda: bootstrap(settings))) as client:
        await until_idle()  # the first look finds nothing
        await client.post("/v1/messages", json={"text": "Olá"}, headers=JSON)
        async with asyncio.timeout(RELAY_SECONDS / 2):  # far sooner than by looking again
            await until(lambda: published(events) == OF_A_TURN)


async def test_events_of_turns_that_end_while_the_server_does_are_published(
    sqlite_url: str, events: pytest.LogCaptureFixture
) -> None:
    settings = Settings(models="scripted", database_url=sqlite_url)
    app = create_app(lambda: bootstrap(settings))
    async with app.router.lifespan_context(app):
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app), base_url="http://prosa"
        ) as client:
            accepted = await client.post("/v1/messages", json={"text": "Olá"}, headers=LATER)
        assert accepted.status_code == 202
    assert published(events) == OF_A_TURN
    database = Database(sqlite_url)
    assert await SqlOutbox(database).backlog() == Backlog(waiting=0, oldest=None, parked=0)
    await database.close()
