"""Rows 29 to 31 of the fault matrix: the relay dies, the bus refuses some, the bus is away."""

import asyncio
import json
import logging
import signal
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import chain
from pathlib import Path

import pytest

from prosa.adapters.in_memory.event_bus import RecordingEventBus
from prosa.adapters.sql.database import Database
from prosa.adapters.sql.outbox import SqlOutbox
from prosa.adapters.sql.unit_of_work import SqlUnitOfWork
from prosa.application.ports.event_bus import EventBusError
from prosa.application.ports.outbox import Backlog
from prosa.application.relay_outbox import (
    LOAN,
    LONGEST_PAUSE,
    MAX_ENVELOPE_BYTES,
    Relayed,
    RelayOutbox,
)
from prosa.domain.identifiers import EventId
from prosa.testing.builders import VirtualClock, a_tenant
from prosa.testing.outbox_contract import a_committed_conversation

TEN_MINUTES = timedelta(minutes=10)

DIES_BEFORE_MARKING = """
import asyncio, os, random, signal, sys
from datetime import datetime

from prosa.adapters.log.event_bus import LogEventBus
from prosa.adapters.sql.database import Database
from prosa.adapters.sql.outbox import SqlOutbox
from prosa.application.relay_outbox import RelayOutbox

url, sink, now = sys.argv[1:]

class DeadlyEventBus(LogEventBus):
    async def publish(self, events):
        with open(sink, "a") as file:
            file.writelines(f"{event.envelope}\\n" for event in events)
        os.kill(os.getpid(), signal.SIGKILL)

relay = RelayOutbox(
    outbox=SqlOutbox(Database(url)),
    event_bus=DeadlyEventBus(),
    clock=lambda: datetime.fromisoformat(now),
    random=random.random,
)
asyncio.run(relay())
"""


class Installation:
    """A relay on a real Postgres and a bus that a test may spoil, in virtual time."""

    def __init__(self, database: Database) -> None:
        self.clock = VirtualClock()
        self.database = database
        self.outbox = SqlOutbox(database)
        self.bus = RecordingEventBus()
        self.relay = RelayOutbox(
            outbox=self.outbox, event_bus=self.bus, clock=self.clock, random=lambda: 0.0
        )

    async def happen(self, *, turns: int = 0) -> list[EventId]:
        """Commit a conversation; gives its events in order."""
        return await a_committed_conversation(
            lambda tenant: SqlUnitOfWork(self.database, tenant),
            self.clock,
            a_tenant(),
            turns=turns,
        )

    @property
    def arrived(self) -> list[EventId]:
        return [event.id for event in self.bus.published]


@pytest.fixture
async def installation(database_url: str) -> AsyncIterator[Installation]:
    database = Database(database_url)
    yield Installation(database)
    await database.close()


async def test_row_29_a_relay_killed_between_publishing_and_marking_sends_the_same_id_again(
    installation: Installation, database_url: str, tmp_path: Path
) -> None:
    committed = await installation.happen(turns=1)
    sink = tmp_path / "sink"
    dying = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", DIES_BEFORE_MARKING),
        *(database_url, str(sink), installation.clock.now.isoformat()),
    )
    assert await dying.wait() == -signal.SIGKILL
    published = sink.read_text().splitlines()
    assert [json.loads(line)["id"] for line in published] == committed[:1]
    assert await installation.relay() == Relayed(), "it is lent, for all that anybody knows"
    installation.clock.advance(LOAN.total_seconds())
    assert await installation.relay() == Relayed(published=3)
    assert installation.arrived == committed
    assert installation.bus.published[0].envelope == published[0]


async def test_row_30_of_ten_only_the_refused_are_sent_again(installation: Installation) -> None:
    conversations = [await installation.happen(turns=1) for _ in range(10)]
    throttled = {conversations[2][0], conversations[7][0]}
    installation.bus.script.append(
        lambda event: "ThrottlingException" if event.id in throttled else None
    )
    assert await installation.relay() == Relayed(published=24, failed=2)
    assert set(installation.arrived).isdisjoint(conversations[2] + conversations[7])
    installation.clock.advance(LONGEST_PAUSE)
    assert await installation.relay() == Relayed(published=6)
    assert sorted(installation.arrived) == sorted(chain.from_iterable(conversations))
    for conversation in conversations:
        assert [one for one in installation.arrived if one in conversation] == conversation


@pytest.mark.parametrize("manner", ["cannot be reached", "refuses everything"])
async def test_row_31_a_bus_that_is_away_for_ten_minutes_is_drained_in_order(
    installation: Installation, manner: str
) -> None:
    conversations = []
    back_at = installation.clock.now + TEN_MINUTES
    while installation.clock.now < back_at:
        conversations.append(await installation.happen(turns=1))
        if manner == "refuses everything":
            installation.bus.script.append(lambda _: "InternalFailure")
            await installation.relay.relay_batch()
        else:
            installation.bus.script.append(EventBusError("the bus cannot be reached"))
            with pytest.raises(EventBusError):
                await installation.relay()
        installation.bus.script.clear()
        installation.clock.advance(20)
    waiting = sum(map(len, conversations))
    assert await installation.outbox.backlog() == Backlog(
        waiting=waiting, oldest=VirtualClock().now, parked=0
    )
    installation.clock.advance(LONGEST_PAUSE)
    assert await installation.relay() == Relayed(published=waiting)
    for conversation in conversations:
        assert [one for one in installation.arrived if one in conversation] == conversation
    firsts = [conversation[0] for conversation in conversations]
    assert [one for one in installation.arrived if one in firsts] == firsts


async def test_row_31_an_oversized_event_is_parked_with_an_alarm_and_holds_up_nobody(
    installation: Installation, caplog: pytest.LogCaptureFixture
) -> None:
    oversized, *following = await installation.happen(turns=1)
    other = await installation.happen()
    async with installation.database.lending() as connection:
        await connection.fetch(
            "update outbox set envelope = repeat('é', $1) where event_id = $2",
            (MAX_ENVELOPE_BYTES // 2 + 1, oversized),
        )
    assert await installation.relay() == Relayed(published=3, parked=1)
    assert sorted(installation.arrived) == sorted(following + other)
    (alarm,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert oversized in alarm.getMessage()
    assert "é" not in alarm.getMessage()
    assert (await installation.outbox.backlog()).parked == 1
