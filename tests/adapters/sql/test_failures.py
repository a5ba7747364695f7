"""A database that fails is StorageUnavailable, and works again without a restart."""

import asyncio
import time
from pathlib import Path

import pytest

from prosa.adapters.sql.conversation_reader import SqlConversationReader
from prosa.adapters.sql.database import Database
from prosa.adapters.sql.unit_of_work import SqlUnitOfWork
from prosa.application.ports.unit_of_work import CommitUnknown, StorageUnavailable
from prosa.domain.conversation import Conversation
from prosa.domain.errors import ConfigurationError, ConversationNotFound
from prosa.domain.identifiers import ConversationId, TenantId
from prosa.testing.builders import VirtualClock, a_conversation, a_tenant, claim

NOWHERE = ConversationId("conv_" + "0" * 32)
TENANT = TenantId("default")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nonsense", "cannot be read"),
        ("mysql://u:secret@h/d", "no database adapter for 'mysql'"),
        ("postgresql://u:secret@h/d", "no database adapter for 'postgresql'"),
    ],
)
def test_an_address_of_no_database_is_refused_without_its_password(url: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as refused:
        Database(url)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+asyncpg://u:p@127.0.0.1:1/nothing",
        "sqlite+aiosqlite:////proc/nowhere/prosa.db",
    ],
)
async def test_a_database_that_cannot_be_reached_is_unavailable_soon(url: str) -> None:
    database = Database(url)
    started = time.monotonic()
    with pytest.raises(StorageUnavailable):
        await SqlConversationReader(database).get_conversation(TENANT, NOWHERE)
    with pytest.raises(StorageUnavailable):
        async with SqlUnitOfWork(database, TENANT):
            pass
    assert time.monotonic() - started < 4
    await database.close()


async def test_connections_that_the_server_closed_are_not_lent(postgres: Database) -> None:
    reader = SqlConversationReader(postgres)
    for _ in range(2):
        with pytest.raises(ConversationNotFound):
            await reader.get_conversation(TENANT, NOWHERE)
        await end_idle_connections(postgres)


async def test_a_connection_that_breaks_in_a_unit_of_work_writes_nothing(
    postgres: Database,
) -> None:
    clock, tenant = VirtualClock(), a_tenant()
    conversation = await a_stored_conversation(postgres, clock, tenant)

    async def break_off() -> None:
        async with SqlUnitOfWork(postgres, tenant) as work:
            got = await work.conversations.get(conversation.header.id)
            await end_this(work)
            claim(got, clock)
            work.conversations.save(got)
            await work.commit()

    with pytest.raises(StorageUnavailable):
        await break_off()
    header = await SqlConversationReader(postgres).get_conversation(tenant, conversation.header.id)
    assert header.message_count == 0


async def test_a_connection_that_breaks_while_committing_leaves_the_outcome_unknown(
    postgres: Database,
) -> None:
    async def break_off() -> None:
        async with SqlUnitOfWork(postgres, TENANT) as work:
            await end_this(work)
            await work.commit()

    with pytest.raises(CommitUnknown):
        await break_off()


async def test_who_waits_too_long_for_a_conversation_is_told_so(postgres: Database) -> None:
    clock, tenant = VirtualClock(), a_tenant()
    conversation = await a_stored_conversation(postgres, clock, tenant)
    async with SqlUnitOfWork(postgres, tenant) as holder:
        await holder.conversations.get(conversation.header.id)
        started = time.monotonic()
        with pytest.raises(StorageUnavailable, match="LockNotAvailable"):
            async with SqlUnitOfWork(postgres, tenant) as waiting:
                await waiting.conversations.get(conversation.header.id)
        assert time.monotonic() - started < 2


async def test_an_exhausted_pool_is_unavailable_within_two_seconds(postgres: Database) -> None:
    lent = [await postgres.connect() for _ in range(20)]
    started = time.monotonic()
    with pytest.raises(StorageUnavailable):
        await postgres.connect()
    assert time.monotonic() - started < 3
    await asyncio.gather(*(connection.close() for connection in lent))
    await postgres.check()


async def test_a_cancelled_unit_of_work_leaves_nothing_and_gives_its_connection_back(
    postgres: Database,
) -> None:
    clock, tenant = VirtualClock(), a_tenant()
    conversation = await a_stored_conversation(postgres, clock, tenant)

    async def wait_for_lock() -> None:
        async with SqlUnitOfWork(postgres, tenant) as work:
            await work.conversations.get(conversation.header.id)

    async with SqlUnitOfWork(postgres, tenant) as holder:
        await holder.conversations.get(conversation.header.id)
        for _ in range(25):  # more than the pool has
            waiting = asyncio.create_task(wait_for_lock())
            await asyncio.sleep(0.005)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
    await wait_for_lock()


async def test_an_error_of_the_database_does_not_tell_what_was_written(postgres: Database) -> None:
    clock, tenant = VirtualClock(), a_tenant()
    conversation = a_conversation(clock, tenant)
    claim(conversation, clock, "meu segredo \x00 aqui")  # Postgres has no NUL in texts

    async def write() -> None:
        async with SqlUnitOfWork(postgres, tenant) as work:
            work.conversations.add(conversation)
            await work.commit()

    with pytest.raises(StorageUnavailable) as failed:
        await write()
    assert "segredo" not in str(failed.value)


async def test_what_was_committed_is_there_after_a_restart(sqlite_url: str) -> None:
    clock, tenant = VirtualClock(), a_tenant()
    first = Database(sqlite_url)
    conversation = await a_stored_conversation(first, clock, tenant)
    await first.close()
    second = Database(sqlite_url)
    header = await SqlConversationReader(second).get_conversation(tenant, conversation.header.id)
    assert header.created_at == conversation.header.created_at
    await second.close()


async def test_sqlite_is_read_while_it_is_written(sqlite: Database, tmp_path: Path) -> None:
    clock, tenant = VirtualClock(), a_tenant()
    conversation = await a_stored_conversation(sqlite, clock, tenant)
    async with SqlUnitOfWork(sqlite, tenant) as work:
        got = await work.conversations.get(conversation.header.id)
        claim(got, clock)
        work.conversations.save(got)
        reader = SqlConversationReader(sqlite)
        header = await reader.get_conversation(tenant, conversation.header.id)
        assert header.message_count == 0
        await work.commit()
    assert (tmp_path / "prosa.db-wal").exists()


async def a_stored_conversation(
    database: Database, clock: VirtualClock, tenant: TenantId
) -> Conversation:
    conversation = a_conversation(clock, tenant)
    async with SqlUnitOfWork(database, tenant) as work:
        work.conversations.add(conversation)
        await work.commit()
    return conversation


async def end_idle_connections(database: Database) -> None:
    """Close, from the server, every connection but the one that asks, as a restart would."""
    asking = Database(str(database._engine.url.render_as_string(hide_password=False)))
    async with asking.lending() as connection:
        await connection.fetch(
            "select pg_terminate_backend(pid) from pg_stat_activity"
            " where backend_type = 'client backend' and pid <> pg_backend_pid()",
            (),
        )
    await asking.close()
    await asyncio.sleep(0.05)  # until the goodbye has arrived


async def end_this(work: SqlUnitOfWork) -> None:
    """Close the unit of work's own connection, from the server."""
    with pytest.raises(Exception, match=r"terminat|closed"):
        await work._connection.fetch("select pg_terminate_backend(pg_backend_pid())", ())
