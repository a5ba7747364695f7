"""Statements of docs/operations.md and the runbooks do what is said of them."""

import re
from collections.abc import AsyncIterator

import asyncpg
import pytest

from prosa import CustomerMessage
from prosa.adapters.sql.tables import metadata
from prosa.application.ports.event_bus import RefusedEvent
from prosa.application.ports.outbox import FailedEntry
from prosa.bootstrap import App, bootstrap
from prosa.bootstrap.moments import now
from prosa.domain.identifiers import TenantId
from prosa.settings import Settings
from tests.faults.postgres_server import PostgresServer
from tests.operations.pages import OPERATIONS, RUNBOOKS, blocks, read, statements
from tests.operations.roles import connect

ACME, OTHER = TenantId("acme"), TenantId("other")
BILLED = "usage"
"""The table that is kept: it has no word of anybody's."""


@pytest.fixture
async def app(production_url: str) -> AsyncIterator[App]:
    async with bootstrap(Settings(database_url=production_url, models="scripted")) as app:
        yield app


@pytest.fixture
async def owner(
    production: PostgresServer, production_database: str
) -> AsyncIterator[asyncpg.Connection]:
    connection = await connect(production, production_database)
    yield connection
    await connection.close()


async def take_a_turn(
    app: App, owner: asyncpg.Connection, tenant_id: TenantId, customer_id: str
) -> set[str]:
    """Fill every table for a customer; give all identifiers that stand for them."""
    message = CustomerMessage(
        text="Oi", tenant_id=tenant_id, customer_id=customer_id, idempotency_key=customer_id
    )
    turn = (await app.take_turn(message)).turn
    assert turn.reply is not None
    await owner.execute("insert into deliveries values ($1, $2, now())", tenant_id, turn.reply.id)
    return {turn.id, turn.conversation_id, turn.message.id, turn.reply.id}


async def rows(owner: asyncpg.Connection) -> dict[str, list[str]]:
    queries = {table: f"select t::text from {table} t order by 1" for table in metadata.tables}  # noqa: S608 - our own tables' names
    return {table: [row[0] for row in await owner.fetch(one)] for table, one in queries.items()}


async def test_a_customer_who_is_erased_is_in_no_table_and_nobody_else_is_touched(
    app: App, owner: asyncpg.Connection
) -> None:
    ana = await take_a_turn(app, owner, ACME, "ana")
    await take_a_turn(app, owner, ACME, "bia")
    await take_a_turn(app, owner, OTHER, "ana")
    before = await rows(owner)
    (erase,) = (one for one in blocks(read(OPERATIONS), "sql") if "'ana'" in one)
    await owner.execute(erase)
    after = await rows(owner)
    for table, found in before.items():
        hers = [row for row in found if any(id_ in row for id_ in ana)]
        assert hers, f"{table} was empty"
        kept = found if table == BILLED else [row for row in found if row not in hers]
        assert after[table] == kept, table


async def test_parked_events_are_tried_again_as_the_command_has_it(
    app: App, owner: asyncpg.Connection
) -> None:
    await app.take_turn(CustomerMessage(text="Oi"))
    (entry,) = await app.outbox.take(limit=1, now=now(), until=now())
    refused = RefusedEvent(id=entry.event.id, reason="too large")
    parked = FailedEntry(refused=refused, tries=12, try_again_at=None)
    await app.outbox.settle(published=(), failed=[parked], now=now())
    page = read(RUNBOOKS / "events-parked.md")
    look, try_again = statements(page)
    assert [row["event_id"] for row in await owner.fetch(look)] == [entry.event.id]
    await owner.execute(try_again)
    backlog = await app.outbox.backlog()
    assert (backlog.waiting, backlog.parked) == (3, 0)
    assert (await app.relay_outbox()).published == 3


async def test_what_is_published_and_old_is_all_that_is_cleaned_up(
    app: App, owner: asyncpg.Connection
) -> None:
    for _ in range(2):
        await app.take_turn(CustomerMessage(text="Oi", idempotency_key="old"))
    await app.relay_outbox()
    await app.take_turn(CustomerMessage(text="Oi", idempotency_key="new"))
    await owner.execute(
        "update outbox set published_at = now() - interval '91 days' where published_at is not null"
    )
    await owner.execute(
        "update requests set created_at = now() - interval '91 days' where key = 'old'"
    )
    cleaning = [one for one in blocks(read(OPERATIONS), "sql") if re.match("delete from", one)]
    assert len(cleaning) == 2
    for statement in cleaning:
        await owner.execute(statement)
    assert await owner.fetchval("select count(*) from outbox") == 3
    assert await owner.fetchval("select count(*) from outbox where published_at is null") == 3
    assert [row[0] for row in await owner.fetch("select key from requests")] == ["new"]
