"""A turn costs the database the same, however long its conversation is."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from prosa.adapters.sql.compiled import compiled
from prosa.adapters.sql.database import Database
from prosa.adapters.sql.tables import metadata
from prosa.adapters.sql.unit_of_work import SqlUnitOfWork
from prosa.application.ports.request_log import LoggedRequest, RequestKey
from prosa.domain.conversation import Conversation
from prosa.domain.identifiers import TenantId
from prosa.testing.builders import (
    PROMPT,
    VirtualClock,
    a_call,
    a_conversation,
    a_reply,
    a_tenant,
    claim,
)
from tests.adapters.sql.statements import CountedDatabase

WINDOW = 20
TURNS_A_SAVE = 5


@pytest.fixture
async def postgres(postgres_url: str) -> AsyncIterator[CountedDatabase]:
    database = CountedDatabase(postgres_url)
    yield database
    await database.close()


@pytest.fixture
async def sqlite(sqlite_url: str) -> AsyncIterator[CountedDatabase]:
    database = CountedDatabase(sqlite_url)
    yield database
    await database.close()


@pytest.fixture(params=["postgres", "sqlite"])
def counted(request: pytest.FixtureRequest) -> CountedDatabase:
    database: CountedDatabase = request.getfixturevalue(request.param)
    return database


async def test_a_turn_on_postgres_is_a_load_and_two_saves(postgres: CountedDatabase) -> None:
    clock, tenant = VirtualClock(), a_tenant()
    conversation = await a_conversation_with(5, postgres, clock, tenant)
    postgres.sent.clear()
    await take_turn(postgres, conversation, clock, tenant)
    assert postgres.sent == ["select", "with", "with"]


async def test_a_conversation_is_started_on_postgres_by_one_statement(
    postgres: CountedDatabase,
) -> None:
    clock, tenant = VirtualClock(), a_tenant()
    await a_conversation_with(0, postgres, clock, tenant)
    assert postgres.sent == ["with"]


async def test_the_hundred_and_first_turn_sends_what_the_sixth_did(
    counted: CountedDatabase,
) -> None:
    clock, tenant = VirtualClock(), a_tenant()
    sent = []
    for turns in (5, 100):
        conversation = await a_conversation_with(turns, counted, clock, tenant)
        counted.sent.clear()
        await take_turn(counted, conversation, clock, tenant)
        sent.append(counted.sent.copy())
    assert sent[0] == sent[1]


async def test_a_long_conversation_is_loaded_by_index_and_no_further_than_its_window(
    postgres: Database,
) -> None:
    clock, tenant = VirtualClock(), a_tenant()
    conversation = await a_conversation_with(600, postgres, clock, tenant)
    async with SqlUnitOfWork(postgres, tenant) as work:
        got = await work.conversations.get(conversation.header.id, history=WINDOW)
    assert len(got.history) == WINDOW
    async with postgres.lending() as connection:
        await connection.fetch("analyze messages", ())
        plan = await connection.fetch(
            "explain select id from messages where tenant_id = $1 and conversation_id = $2"
            " and sequence > 1180",
            (tenant, conversation.header.id),
        )
    assert "Seq Scan" not in " ".join(line for (line,) in plan)


async def a_conversation_with(
    turns: int, database: Database, clock: VirtualClock, tenant: TenantId
) -> Conversation:
    started = a_conversation(clock, tenant)
    async with SqlUnitOfWork(database, tenant) as work:
        work.conversations.add(started)
        await work.commit()
    for _ in range(0, turns, TURNS_A_SAVE):
        async with SqlUnitOfWork(database, tenant) as work:
            conversation = await work.conversations.get(started.header.id)
            for _ in range(TURNS_A_SAVE):
                turn = claim(conversation, clock)
                attempt = replace(conversation.attempt_at(turn), reply=a_reply(), prompt=PROMPT)
                conversation.record(attempt, at=clock.moment)
            work.conversations.save(conversation)
            await work.commit()
    return started


async def take_turn(
    database: Database, conversation: Conversation, clock: VirtualClock, tenant: TenantId
) -> None:
    async with SqlUnitOfWork(database, tenant) as work:
        claimed = await work.conversations.get(conversation.header.id, history=WINDOW)
        turn = claim(claimed, clock)
        work.conversations.save(claimed)
        key = RequestKey(caller="", operation="take_turn", key=turn.id)
        work.requests.add(
            LoggedRequest(key=key, fingerprint="", resource_id=turn.id, created_at=clock.now)
        )
        attempt = claimed.attempt_at(turn)
        await work.commit()
    async with SqlUnitOfWork(database, tenant) as work:
        resumed = Conversation.resume(attempt)
        resumed.record(replace(attempt, reply=a_reply(), calls=(a_call(),)), at=clock.moment)
        work.conversations.save(resumed)
        await work.commit()


@pytest.mark.parametrize(
    ("name", "indexed"),
    [("loading.of_array", 5), ("loading.by_turn", 6), ("saving.of_arrays", 1)],
)
async def test_what_is_planned_on_empty_tables_reads_no_more_than_it_has_to(
    postgres: Database, name: str, indexed: int
) -> None:
    """Each row is found by the whole of a key; nothing is joined, and no table read through."""
    tables = [table.name for table in metadata.sorted_tables]
    statement = compiled(postgres.dialect, name)
    parameters = ", ".join("null" for _ in statement.names)
    async with postgres.lending() as connection, connection.transaction():
        for table in tables:
            created = (
                f"create temp table {table} (like public.{table} including all) on commit drop"
            )
            await connection.fetch(created, ())
        await connection.fetch("set local plan_cache_mode = force_generic_plan", ())
        await connection.fetch(f"prepare planned as {statement.sql}", ())
        plan = await connection.fetch(f"explain execute planned({parameters})", ())
        await connection.fetch("deallocate planned", ())
    lines = [line for (line,) in plan]
    conditions = [line for line in lines if "Index Cond" in line]
    assert len(conditions) == indexed, lines
    assert all(" AND " in condition for condition in conditions)
    assert not [line for line in lines if "Seq Scan on" in line or "Join" in line]
