"""Starting a conversation: once for each idempotency key."""

import asyncio

import pytest

from prosa.application.ports.unit_of_work import CommitUnknown, StorageUnavailable
from prosa.application.start_conversation import NewConversation
from prosa.domain.conversation_header import ConversationStatus
from prosa.domain.errors import KeyReused, KeyTaken
from prosa.domain.identifiers import TenantId
from tests.application.service import KEY, TENANT, Service, Trouble, a_message


def asked(
    *,
    customer_id: str | None = "ana",
    key: str | None = KEY,
    tenant_id: TenantId = TENANT,
    caller: str = "",
) -> NewConversation:
    return NewConversation(
        tenant_id=tenant_id,
        customer_id=customer_id,
        channel="web",
        metadata={"plan": "gold"},
        caller=caller,
        idempotency_key=key,
    )


async def test_a_conversation_starts_with_what_the_tenant_says_of_it() -> None:
    service = Service()
    started = await service.start_conversation(asked())
    header = started.header
    assert not started.replayed
    assert (header.tenant_id, header.customer_id, header.channel) == (TENANT, "ana", "web")
    assert header.metadata == {"plan": "gold"}
    stored = await service.reader.get_conversation(TENANT, header.id)
    assert stored.as_started == header.as_started
    assert service.event_names() == ["ConversationStarted"]


async def test_the_same_key_finds_the_conversation_as_it_was_when_it_started() -> None:
    service = Service()
    first = await service.start_conversation(asked())
    service.clock.advance(60)
    await service.take_turn(a_message(to=first.header.id))
    await service.close_conversation(TENANT, first.header.id)
    again = await service.start_conversation(asked())
    assert again.replayed
    assert again.header == first.header.as_started
    assert (again.header.status, again.header.message_count) == (ConversationStatus.OPEN, 0)
    assert len(service.state.headers) == 1


async def test_without_a_key_each_request_starts_another() -> None:
    service = Service()
    first = await service.start_conversation(asked(key=None))
    second = await service.start_conversation(asked(key=None))
    assert first.header.id != second.header.id
    assert service.state.requests == {}


async def test_another_request_with_the_same_key_is_refused() -> None:
    service = Service()
    await service.start_conversation(asked())
    with pytest.raises(KeyReused):
        await service.start_conversation(asked(customer_id="bia"))
    assert len(service.state.headers) == 1


async def test_a_key_belongs_to_its_tenant_its_caller_and_its_operation() -> None:
    service = Service()
    started = [
        await service.start_conversation(asked()),
        await service.start_conversation(asked(tenant_id=TenantId("globex"))),
        await service.start_conversation(asked(caller="site")),
    ]
    assert not any(each.replayed for each in started)
    outcome = await service.take_turn(a_message(key=KEY))
    assert not outcome.replayed


async def test_of_many_at_once_with_one_key_one_starts() -> None:
    service = Service()
    started = await asyncio.gather(*(service.start_conversation(asked()) for _ in range(10)))
    assert len({each.header.id for each in started}) == 1
    assert sum(not each.replayed for each in started) == 1


async def test_a_key_that_was_taken_and_is_gone_stays_taken_for_now() -> None:
    service = Service()
    service.commits.append(Trouble(error=KeyTaken(KEY)))
    with pytest.raises(KeyTaken):
        await service.start_conversation(asked())


async def test_what_storage_lost_was_not_started() -> None:
    service = Service()
    service.commits.append(Trouble(error=StorageUnavailable("gone")))
    with pytest.raises(StorageUnavailable):
        await service.start_conversation(asked())
    assert not (await service.start_conversation(asked())).replayed


@pytest.mark.parametrize("written", [True, False])
async def test_a_start_of_unknown_outcome_is_looked_up(*, written: bool) -> None:
    service = Service()
    service.commits.append(Trouble(error=CommitUnknown("broken off"), written=written))
    if written:
        first = await service.start_conversation(asked())
        again = await service.start_conversation(asked())
        assert (again.header.id, again.replayed) == (first.header.id, True)
        return
    with pytest.raises(StorageUnavailable):
        await service.start_conversation(asked())
    assert service.state.headers == {}


async def test_a_database_that_hangs_is_not_waited_for_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("prosa.application.commit.SECONDS_TO_STORE", 0.01)
    service = Service()
    service.commits.append(Trouble())
    async with asyncio.timeout(30):
        with pytest.raises(CommitUnknown):
            await service.start_conversation(asked())
