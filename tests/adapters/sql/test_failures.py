"""A database that fails is StorageUnavailable, and works again without a restart."""

import asyncio
import sqlite3
import time
from contextlib import AsyncExitStack, closing, suppress
from pathlib import Path

import pytest

from prosa.adapters.sql.connection import POOL_SIZE, SqlConnection
from prosa.adapters.sql.conversation_reader import SqlConversationReader
from prosa.adapters.sql.database import Database
from prosa.adapters.sql.unit_of_work import SqlUnitOfWork
from prosa.application.ports.unit_of_work import CommitUnknown, StorageUnavailable
from prosa.domain.conversation import Conversation
from prosa.domain.errors import ConfigurationError, ConversationNotFound
from prosa.domain.identifiers import ConversationId, TenantId
from prosa.testing.builders import VirtualClock, a_conversation, a_tenant, claim
from tests.adapters.sql.databases import BreakingDatabase
from tests.waiting import until_idle

NOWHERE = ConversationId("conv_" + "0" * 32)
TENANT = TenantId("default")


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("nonsense", "cannot be read"),
        ("postgresql+asyncpg://u:secret@h:port/d", "cannot be read"),
        ("mysql://u:secret@h/d", "no database adapter for 'mysql'"),
        ("postgresql://u:secret@h/d", "no database adapter for 'postgresql'"),
    ],
)
def test_an_address_of_no_database_is_refused_without_its_password(url: str, said: str) -> None:
    with pytest.raises(ConfigurationError, match=said) as refused:
        Database(url)
    assert "secret" not in str(refused.value)


async def test_a_postgres_that_cannot_be_reached_is_unavailable_soon() -> None:
    started = time.monotonic()
    await expect_unavailable("postgresql+asyncpg://u:p@127.0.0.1:1/nothing")
    assert time.monotonic() - started < 4


async def test_a_file_that_is_no_database_is_unavailable(tmp_path: Path) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("This is no database, but long enough to be looked into. " * 9)
    await expect_unavailable(f"sqlite+aiosqlite:///{file}")


async def expect_unavailable(url: str) -> None:
    database = Database(url)
    with pytest.raises(StorageUnavailable):
        await SqlConversationReader(database).get_conversation(TENANT, NOWHERE)
    with pytest.raises(StorageUnavailable):
        async with SqlUnitOfWork(database, TENANT) as work:
            await work.conversations.get(NOWHERE)
    await database.close()


async def test_connections_that_the_server_closed_are_not_lent(
    postgres: Database, postgres_url: str
) -> None:
    reader = SqlConversationReader(postgres)
    for _ in range(2):
        with pytest.raises(ConversationNotFound):
            await reader.get_conversation(TENANT, NOWHERE)
        await end_idle_connections(postgres_url)


async def test_connections_that_break_in_a_unit_of_work_do_not_keep_it_from_saving(
    postgres: Database, postgres_url: str
) -> None:
    clock, tenant = VirtualClock(), a_tenant()
    conversation = await a_stored_conversation(postgres, clock, tenant)
    async with SqlUnitOfWork(postgres, tenant) as work:
        got = await work.conversations.get(conversation.header.id)
        await end_idle_connections(postgres_url)
        claim(got, clock)
        work.conversations.save(got)
        await work.commit()
    header = await SqlConversationReader(postgres).get_conversation(tenant, conversation.header.id)
    assert header.message_count == 1


async def test_a_connection_that_breaks_while_committing_leaves_the_outcome_unknown(
    postgres_url: str,
) -> None:
    clock, tenant = VirtualClock(), a_tenant()
    breaking = BreakingDatabase(postgres_url)
    conversation = await a_stored_conversation(breaking, clock, tenant)

    async def save() -> None:
        async with SqlUnitOfWork(breaking, tenant) as work:
            got = await work.conversations.get(conversation.header.id)
            claim(got, clock)
            work.conversations.save(got)
            breaking.breaks = True
            await work.commit()

    with pytest.raises(CommitUnknown):
        await save()
    await breaking.close()


async def test_who_waits_too_long_for_a_conversation_is_told_so(postgres: Database) -> None:
    clock, tenant = VirtualClock(), a_tenant()
    conversation = await a_stored_conversation(postgres, clock, tenant)

    async with postgres.lending() as holder, holder.transaction():
        await holder.fetch("select 1 from conversations where tenant_id = $1 for update", (tenant,))
        started = time.monotonic()
        with pytest.raises(StorageUnavailable, match="LockNotAvailable"):
            await save_a_claim(postgres, conversation, clock)
        assert time.monotonic() - started < 2


async def test_an_exhausted_pool_is_unavailable_within_two_seconds(postgres: Database) -> None:
    async with AsyncExitStack() as lent:
        for _ in range(POOL_SIZE):
            await lent.enter_async_context(postgres.lending())
        started = time.monotonic()
        with pytest.raises(StorageUnavailable):
            async with postgres.lending():
                pass
        assert time.monotonic() - started < 3
    await postgres.check()


async def test_a_cancelled_unit_of_work_leaves_nothing_and_gives_its_connection_back(
    postgres: Database,
) -> None:
    clock, tenant = VirtualClock(), a_tenant()
    conversation = await a_stored_conversation(postgres, clock, tenant)

    async with postgres.lending() as holder, holder.transaction():
        await holder.fetch("select 1 from conversations where tenant_id = $1 for update", (tenant,))
        for _ in range(POOL_SIZE + 5):
            waiting = asyncio.create_task(save_a_claim(postgres, conversation, clock))
            await asyncio.sleep(0.01)
            waiting.cancel()
            with pytest.raises(asyncio.CancelledError):
                await waiting
        await until_nobody_waits(holder)
    reader = SqlConversationReader(postgres)
    header = await reader.get_conversation(tenant, conversation.header.id)
    assert header.message_count == 0
    await save_a_claim(postgres, conversation, clock)


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
    async with sqlite.lending() as writer, writer.transaction():
        await writer.fetch("update conversations set message_count = 7 returning 1", ())
        reader = SqlConversationReader(sqlite)
        header = await reader.get_conversation(tenant, conversation.header.id)
        assert header.message_count == 0
    assert (tmp_path / "prosa.db-wal").exists()


async def test_a_sqlite_file_that_somebody_else_writes_for_long_is_unavailable(
    sqlite: Database, tmp_path: Path
) -> None:
    clock, tenant = VirtualClock(), a_tenant()
    conversation = await a_stored_conversation(sqlite, clock, tenant)
    with closing(sqlite3.connect(tmp_path / "prosa.db", isolation_level=None)) as somebody:
        somebody.execute("begin immediate")
        started = time.monotonic()
        with pytest.raises(StorageUnavailable, match="SQLITE_BUSY"):
            await save_a_claim(sqlite, conversation, clock)
        assert time.monotonic() - started < 3
    await save_a_claim(sqlite, conversation, clock)


async def test_a_full_disk_is_unavailable_and_leaves_nothing(sqlite: Database) -> None:
    clock, tenant = VirtualClock(), a_tenant()
    async with sqlite.lending() as connection:
        await connection.fetch("pragma max_page_count = 1", ())  # what it has, and no more
    conversation = a_conversation(clock, tenant, metadata={"much": "x" * 100_000})
    with pytest.raises(StorageUnavailable, match="SQLITE_FULL"):
        await add(sqlite, conversation)
    with pytest.raises(ConversationNotFound):
        await SqlConversationReader(sqlite).get_conversation(tenant, conversation.header.id)


async def test_a_sqlite_file_that_may_not_be_written_is_unavailable_and_read(
    sqlite_url: str,
) -> None:
    clock, tenant = VirtualClock(), a_tenant()
    first = Database(sqlite_url)
    conversation = await a_stored_conversation(first, clock, tenant)
    await first.close()
    file = sqlite_url.removeprefix("sqlite+aiosqlite:///")
    read_only = Database(f"sqlite+aiosqlite:///file:{file}?mode=ro&uri=true")
    with pytest.raises(StorageUnavailable, match="SQLITE_READONLY"):
        await save_a_claim(read_only, conversation, clock)
    reader = SqlConversationReader(read_only)
    header = await reader.get_conversation(tenant, conversation.header.id)
    assert header.message_count == 0
    await read_only.close()


async def test_a_unit_of_work_that_is_cancelled_at_any_time_stays_cancelled_and_holds_no_lock(
    sqlite: Database,
) -> None:
    clock, tenant = VirtualClock(), a_tenant()
    for patience in range(40):
        adding = asyncio.create_task(add(sqlite, a_conversation(clock, tenant)))
        await asyncio.sleep(0.0003 * patience)
        adding.cancel()
        with suppress(asyncio.CancelledError):
            await adding
    await add(sqlite, a_conversation(clock, tenant))


async def save_a_claim(database: Database, conversation: Conversation, clock: VirtualClock) -> None:
    async with SqlUnitOfWork(database, conversation.header.tenant_id) as work:
        got = await work.conversations.get(conversation.header.id)
        claim(got, clock)
        work.conversations.save(got)
        await work.commit()


async def a_stored_conversation(
    database: Database, clock: VirtualClock, tenant: TenantId
) -> Conversation:
    conversation = a_conversation(clock, tenant)
    await add(database, conversation)
    return conversation


async def add(database: Database, conversation: Conversation) -> None:
    async with SqlUnitOfWork(database, conversation.header.tenant_id) as work:
        work.conversations.add(conversation)
        await work.commit()


async def until_nobody_waits(connection: SqlConnection) -> None:
    """Wait until the server has heard who has given up, which they did not wait for."""
    waiting = "select 1 from pg_stat_activity where wait_event_type = 'Lock'"
    async with asyncio.timeout(10):
        while await connection.fetch(waiting, ()):  # noqa: ASYNC110 - only Postgres knows
            await asyncio.sleep(0.005)


async def end_idle_connections(url: str) -> None:
    """Close, from the server, every connection but the one that asks, as a restart would."""
    asking = Database(url)
    others = (
        "from pg_stat_activity where backend_type = 'client backend' and pid <> pg_backend_pid()"
    )
    async with asking.lending() as connection:
        await connection.fetch(f"select pg_terminate_backend(pid) {others}", ())
        async with asyncio.timeout(10):
            while await connection.fetch(f"select 1 {others}", ()):  # noqa: ASYNC110 - only Postgres knows
                await asyncio.sleep(0.005)
    await asking.close()
    await until_idle()  # the goodbyes arrive
