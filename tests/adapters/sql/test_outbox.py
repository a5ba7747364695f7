"""The outbox on real databases: what it costs, and what races and late commits do to it."""

import asyncio
import json
import random
from collections import defaultdict
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from prosa.adapters.in_memory.event_bus import RecordingEventBus
from prosa.adapters.sql.compiled import compiled
from prosa.adapters.sql.connection import SqlConnection
from prosa.adapters.sql.database import Database
from prosa.adapters.sql.dialect import POSTGRES
from prosa.adapters.sql.outbox import BY_THE_INDEX, SqlOutbox
from prosa.adapters.sql.unit_of_work import SqlUnitOfWork
from prosa.application.ports.unit_of_work import VersionConflict
from prosa.application.relay_outbox import BATCH, Relayed, RelayOutbox
from prosa.domain.conversation import Conversation
from prosa.testing.builders import VirtualClock, a_conversation, a_tenant, claim
from prosa.testing.outbox_contract import a_committed_conversation
from tests.adapters.sql.statements import CountedDatabase

LOAN = timedelta(seconds=30)


@pytest.fixture
async def postgres(postgres_url: str) -> AsyncIterator[CountedDatabase]:
    database = CountedDatabase(postgres_url)
    async with database.lending() as connection:
        await connection.fetch("truncate outbox", ())  # other tests leave their events
    yield database
    async with database.lending() as connection:
        await connection.fetch("truncate outbox", ())
    await database.close()


@pytest.fixture
async def sqlite(sqlite_url: str) -> AsyncIterator[CountedDatabase]:
    database = CountedDatabase(sqlite_url)
    yield database
    await database.close()


@pytest.fixture(params=["postgres", "sqlite"])
def database(request: pytest.FixtureRequest) -> CountedDatabase:
    found: CountedDatabase = request.getfixturevalue(request.param)
    return found


def a_relay(database: Database, bus: RecordingEventBus, clock: VirtualClock) -> RelayOutbox:
    return RelayOutbox(outbox=SqlOutbox(database), event_bus=bus, clock=clock, random=random.random)


async def test_a_batch_is_a_transaction_and_a_statement_however_large(
    database: CountedDatabase,
) -> None:
    said = ["select"] if database.dialect.is_postgres else []
    clock, bus = VirtualClock(), RecordingEventBus()
    for count in (1, 9):
        for _ in range(count):
            await a_committed_conversation(
                lambda tenant: SqlUnitOfWork(database, tenant), clock, a_tenant()
            )
        database.sent.clear()
        relayed = await a_relay(database, bus, clock).relay_batch()
        assert relayed == Relayed(published=count)
        assert database.sent == ["begin", *said, "with", "commit", "update"]


async def test_relays_at_once_publish_each_event_once_and_in_order(
    database: CountedDatabase,
) -> None:
    clock, bus = VirtualClock(), RecordingEventBus()
    expected = {}
    for _ in range(12):
        tenant = a_tenant()
        expected[tenant] = await a_committed_conversation(
            lambda tenant: SqlUnitOfWork(database, tenant), clock, tenant, turns=3
        )
    relayed: list[Relayed] = await asyncio.gather(
        *(a_relay(database, bus, clock)() for _ in range(4))
    )
    assert sum(one.published for one in relayed) == 12 * 7
    arrived = defaultdict(list)
    for event in bus.published:
        arrived[json.loads(event.envelope)["tenantid"]].append(event.id)
    assert arrived == expected


async def test_what_commits_late_is_published_though_later_events_were_before(
    postgres: CountedDatabase,
) -> None:
    clock, bus = VirtualClock(), RecordingEventBus()
    relay = a_relay(postgres, bus, clock)
    async with postgres.lending() as slow:
        async with slow.transaction():
            late = await insert(slow, clock.now)
            clock.advance(5)
            async with postgres.lending() as quick:
                soon = await insert(quick, clock.now)
            assert await relay() == Relayed(published=1)
        clock.advance(5)
        assert await relay() == Relayed(published=1)
    assert [event.id for event in bus.published] == [soon, late]


async def insert(connection: SqlConnection, at: datetime) -> str:
    tenant = a_tenant()
    event_id = f"evt_{tenant}"
    await connection.fetch(
        "insert into outbox (tenant_id, conversation_id, sequence, event_id, type, envelope,"
        " created_at) values ($1, 'conv_1', 1, $2, 'conversation.started.v1', '{}', $3)",
        (tenant, event_id, at),
    )
    return event_id


async def test_a_commit_with_events_is_announced_and_no_other(database: CountedDatabase) -> None:
    clock, tenant, rung = VirtualClock(), a_tenant(), []
    conversation = a_conversation(clock, tenant)
    async with SqlUnitOfWork(database, tenant, lambda: rung.append("added")) as work:
        work.conversations.add(conversation)
        assert rung == []
        await work.commit()
    assert rung == ["added"]
    async with SqlUnitOfWork(database, tenant, lambda: rung.append("nothing")) as work:
        await work.commit()
    async with SqlUnitOfWork(database, tenant, lambda: rung.append("conflict")) as work:
        got = await work.conversations.get(conversation.header.id)
        await save_a_claim(database, conversation, clock)
        claim(got, clock)
        work.conversations.save(got)
        with pytest.raises(VersionConflict):
            await work.commit()
    assert rung == ["added"]


async def save_a_claim(database: Database, conversation: Conversation, clock: VirtualClock) -> None:
    async with SqlUnitOfWork(database, conversation.header.tenant_id) as work:
        got = await work.conversations.get(conversation.header.id)
        claim(got, clock)
        work.conversations.save(got)
        await work.commit()


@pytest.mark.parametrize("analysed", ["before anything waits", "never"])
async def test_on_postgres_taking_reads_no_more_than_it_takes(
    postgres: CountedDatabase, analysed: str
) -> None:
    async with postgres.lending() as connection:
        await fill(connection, "published", 20_000, published=True)
        if analysed != "never":
            await connection.fetch("analyze outbox", ())
        await fill(connection, "waiting", 3_000, published=False)
        plan = await plan_of_taking(connection, limit=10)
    scans = list(scans_in(plan))
    looked_at = [one for one in scans if one["Alias"] == "outbox_1"]
    ones_before = [one for one in scans if one["Alias"] == "before"]
    assert {one["Node Type"] for one in scans} & {"Seq Scan", "Bitmap Heap Scan"} == set()
    assert [one["Index Name"] for one in ones_before] == ["pk_outbox"]
    assert ones_before[0]["Index Cond"].count(" = ") == 3
    assert [one["Index Name"] for one in looked_at] == ["ix_outbox_unpublished"]
    assert ones_before[0]["Actual Loops"] < 100


async def test_on_postgres_a_whole_batch_is_taken_along_the_index_of_what_waits(
    postgres: CountedDatabase,
) -> None:
    """A bitmap would visit all that was published since the last vacuum, at each batch again."""
    never_analysed = "create temp table outbox (like public.outbox including all) on commit drop"
    async with postgres.lending() as connection, connection.transaction():
        await connection.fetch(never_analysed, ())
        await fill(connection, "published", 2_000, published=True)
        await fill(connection, "waiting", 200, published=False)
        plan = await plan_of_taking(connection, limit=BATCH)
    ways = [one for one in scans_in(plan) if one["Alias"] == "outbox_1"]
    assert [one["Node Type"] for one in ways] == ["Index Scan"]
    assert [one["Index Name"] for one in ways] == ["outbox_created_at_idx"]


async def fill(
    connection: SqlConnection, conversation: str, count: int, *, published: bool
) -> None:
    """Put events of conversations with ten each into the outbox, turn by turn of all of them."""
    await connection.fetch(
        "insert into outbox (tenant_id, conversation_id, sequence, event_id, type, envelope,"
        " created_at, published_at) select 'acme', $1 || n % ($2 / 10), n / ($2 / 10) + 1,"
        " $1 || n, 'conversation.started.v1', '{}', now() + n * interval '1 ms',"
        " case when $3 then now() end from generate_series(0, $2 - 1) n",
        (conversation, count, published),
    )


async def plan_of_taking(connection: SqlConnection, *, limit: int) -> dict[str, Any]:
    statement = compiled(POSTGRES, "outbox.take")
    now = datetime.now(UTC) + timedelta(hours=1)
    values = statement.values(limit=limit, now=now, until=now + LOAN)
    explain = "explain (analyze, format json) "
    async with connection.transaction():
        await connection.fetch(BY_THE_INDEX, ())
        ((told,),) = await connection.fetch(explain + statement.sql, values)
    plan: dict[str, Any] = json.loads(told)[0]["Plan"]
    return plan


def scans_in(plan: dict[str, Any]) -> list[dict[str, Any]]:
    found = [plan] if plan["Node Type"].endswith("Scan") and "Alias" in plan else []
    return found + [scan for part in plan.get("Plans", ()) for scan in scans_in(part)]


async def test_on_sqlite_taking_goes_by_indexes(sqlite: CountedDatabase) -> None:
    statement = compiled(sqlite.dialect, "outbox.take")
    values = statement.values(limit=10, now="2026", until="2026")
    async with sqlite.lending() as connection:
        rows = await connection.fetch(f"explain query plan {statement.sql}", values)
    steps = [row[3] for row in rows]
    assert "SCAN outbox USING INDEX ix_outbox_unpublished" in steps
    assert any("(tenant_id=? AND conversation_id=? AND sequence=?)" in step for step in steps)
    assert any("SEARCH outbox USING" in step and "(event_id=?)" in step for step in steps)
