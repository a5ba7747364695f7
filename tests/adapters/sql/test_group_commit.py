"""What is saved at once on Postgres is one commit, and nobody fails of another's fault."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable

import pytest

from prosa.adapters.sql.conversation_reader import SqlConversationReader
from prosa.adapters.sql.database import Database
from prosa.adapters.sql.unit_of_work import SqlUnitOfWork
from prosa.application.ports.request_log import LoggedRequest, RequestKey
from prosa.application.ports.unit_of_work import (
    CommitUnknown,
    StorageUnavailable,
    VersionConflict,
)
from prosa.domain.conversation import Conversation
from prosa.domain.errors import ConversationNotFound, KeyTaken
from prosa.domain.identifiers import TenantId
from prosa.testing.builders import VirtualClock, a_conversation, a_tenant, claim
from tests.adapters.sql.databases import BreakingDatabase
from tests.adapters.sql.statements import CountedDatabase

MANY = 5
ERASE_ON_POSTGRES = "delete from conversations where id = $1 returning 1"
ERASE_ON_SQLITE = "delete from conversations where id = ? returning 1"


@pytest.fixture
async def counted(postgres_url: str) -> AsyncIterator[CountedDatabase]:
    database = CountedDatabase(postgres_url)
    yield database
    await database.close()


@pytest.fixture(params=["postgres", "sqlite"])
def database(request: pytest.FixtureRequest) -> Database:
    database: Database = request.getfixturevalue(request.param)
    return database


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def tenant() -> TenantId:
    return a_tenant()


async def test_what_is_started_loaded_and_saved_at_once_is_one_statement_each(
    counted: CountedDatabase, clock: VirtualClock, tenant: TenantId
) -> None:
    conversations = [a_conversation(clock, tenant) for _ in range(MANY)]
    await asyncio.gather(*(add(counted, one) for one in conversations))
    assert counted.sent == ["with"]
    await asyncio.gather(*(say(counted, one, clock) for one in conversations))
    assert counted.sent == ["with", "select", "with"]
    assert await message_counts(counted, conversations) == [1] * MANY


async def test_tenants_are_kept_apart_in_what_is_loaded_together(
    counted: CountedDatabase, clock: VirtualClock, tenant: TenantId
) -> None:
    mine, theirs = a_conversation(clock, tenant), a_conversation(clock, a_tenant())
    await asyncio.gather(add(counted, mine), add(counted, theirs))
    counted.sent.clear()

    async def load(tenant_id: TenantId, conversation: Conversation) -> Conversation:
        async with SqlUnitOfWork(counted, tenant_id) as work:
            return await work.conversations.get(conversation.header.id)

    got = await asyncio.gather(
        load(tenant, mine),
        load(tenant, theirs),
        load(theirs.header.tenant_id, theirs),
        return_exceptions=True,
    )
    assert counted.sent == ["select"]
    assert isinstance(got[0], Conversation)
    assert got[0].header.id == mine.header.id
    assert isinstance(got[1], ConversationNotFound)
    assert isinstance(got[2], Conversation)
    assert got[2].header.tenant_id == theirs.header.tenant_id


async def test_one_who_was_not_the_first_does_not_keep_others_from_saving(
    counted: CountedDatabase, clock: VirtualClock, tenant: TenantId
) -> None:
    conversations = [a_conversation(clock, tenant) for _ in range(MANY)]
    await asyncio.gather(*(add(counted, one) for one in conversations))
    late = await loaded(counted, conversations[2])
    await say(counted, conversations[2], clock)
    claim(late, clock)
    ended = await at_once(
        *(lambda one=one: say(counted, one, clock) for one in conversations),
        lambda: save(counted, late),
    )
    assert [type(one) for one in ended] == [type(None)] * MANY + [VersionConflict]
    assert await message_counts(counted, conversations) == [1, 1, 2, 1, 1]


async def test_of_two_who_save_one_conversation_at_once_one_does(
    counted: CountedDatabase, clock: VirtualClock, tenant: TenantId
) -> None:
    conversation = a_conversation(clock, tenant)
    await add(counted, conversation)
    ended = await at_once(*(lambda: say(counted, conversation, clock) for _ in range(2)))
    assert {type(one) for one in ended} == {type(None), VersionConflict}
    assert await message_counts(counted, [conversation]) == [1]


async def test_of_two_who_claim_one_key_at_once_one_does(
    counted: CountedDatabase, clock: VirtualClock, tenant: TenantId
) -> None:
    def claiming(key: str) -> Callable[[], Awaitable[None]]:
        return lambda: add(counted, a_conversation(clock, tenant), key=key, clock=clock)

    ended = await at_once(claiming("one"), claiming("one"), claiming("another"))
    assert {type(one) for one in ended[:2]} == {type(None), KeyTaken}
    assert ended[2] is None


@pytest.mark.parametrize("text", ["one \x00 is not stored", "half \ud83d of a pair"])
async def test_a_text_that_cannot_be_stored_does_not_keep_others_from_saving(
    counted: CountedDatabase, clock: VirtualClock, tenant: TenantId, text: str
) -> None:
    good, bad = a_conversation(clock, tenant), a_conversation(clock, tenant)
    claim(good, clock)
    claim(bad, clock, text)
    ended = await at_once(lambda: add(counted, good), lambda: add(counted, bad))
    assert ended[0] is None
    assert isinstance(ended[1], Exception)
    assert await message_counts(counted, [good]) == [1]
    with pytest.raises(ConversationNotFound):
        await message_counts(counted, [bad])


async def test_where_the_connection_breaks_all_of_the_group_have_an_unknown_outcome(
    postgres_url: str, clock: VirtualClock, tenant: TenantId
) -> None:
    breaking = BreakingDatabase(postgres_url)
    breaking.breaks = True
    adding = [a_conversation(clock, tenant) for _ in range(MANY)]
    ended = await at_once(*(lambda one=one: add(breaking, one) for one in adding))
    assert [type(one) for one in ended] == [CommitUnknown] * MANY
    await breaking.close()


async def test_where_there_is_no_server_all_of_the_group_are_told_so(
    clock: VirtualClock, tenant: TenantId
) -> None:
    nowhere = Database("postgresql+asyncpg://u:p@127.0.0.1:1/nothing")
    adding = [a_conversation(clock, tenant) for _ in range(MANY)]
    ended = await at_once(*(lambda one=one: add(nowhere, one) for one in adding))
    assert [type(one) for one in ended] == [StorageUnavailable] * MANY


async def test_a_conversation_that_was_erased_meanwhile_is_not_brought_back_by_a_save(
    database: Database, clock: VirtualClock, tenant: TenantId
) -> None:
    conversation = a_conversation(clock, tenant)
    await add(database, conversation)
    late = await loaded(database, conversation)
    claim(late, clock)
    async with database.lending() as connection:
        erase = ERASE_ON_POSTGRES if database.dialect.is_postgres else ERASE_ON_SQLITE
        await connection.fetch(erase, (conversation.header.id,))
    with pytest.raises(VersionConflict):
        await save(database, late)
    with pytest.raises(ConversationNotFound):
        await loaded(database, conversation)


async def at_once(*works: Callable[[], Awaitable[None]]) -> list[BaseException | None]:
    return list(await asyncio.gather(*(work() for work in works), return_exceptions=True))


async def add(
    database: Database,
    conversation: Conversation,
    *,
    key: str | None = None,
    clock: VirtualClock | None = None,
) -> None:
    async with SqlUnitOfWork(database, conversation.header.tenant_id) as work:
        work.conversations.add(conversation)
        if key is not None and clock is not None:
            claimed = RequestKey(caller="", operation="start", key=key)
            resource_id = conversation.header.id
            work.requests.add(
                LoggedRequest(
                    key=claimed, fingerprint="", resource_id=resource_id, created_at=clock.now
                )
            )
        await work.commit()


async def loaded(database: Database, conversation: Conversation) -> Conversation:
    async with SqlUnitOfWork(database, conversation.header.tenant_id) as work:
        return await work.conversations.get(conversation.header.id)


async def save(database: Database, conversation: Conversation) -> None:
    async with SqlUnitOfWork(database, conversation.header.tenant_id) as work:
        work.conversations.save(conversation)
        await work.commit()


async def say(database: Database, conversation: Conversation, clock: VirtualClock) -> None:
    async with SqlUnitOfWork(database, conversation.header.tenant_id) as work:
        got = await work.conversations.get(conversation.header.id)
        turn = claim(got, clock)
        got.fail(got.attempt_at(turn), code="test", retryable=False, at=clock.moment)
        work.conversations.save(got)
        await work.commit()


async def message_counts(database: Database, conversations: list[Conversation]) -> list[int]:
    reader = SqlConversationReader(database)
    return [
        (await reader.get_conversation(one.header.tenant_id, one.header.id)).message_count
        for one in conversations
    ]
