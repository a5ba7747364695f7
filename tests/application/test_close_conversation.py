"""Closing a conversation: not while it answers, and once is enough."""

import asyncio

import pytest

from prosa.application.ports.unit_of_work import CommitUnknown
from prosa.domain.conversation_header import ConversationStatus
from prosa.domain.errors import ConversationBusy, ConversationNotFound
from prosa.domain.identifiers import TenantId
from prosa.domain.turn import TurnStatus
from tests.application.service import TENANT, Service, Trouble, a_message


async def test_closing_gives_the_closed_conversation() -> None:
    service = Service()
    conversation = await service.a_conversation()
    await service.take_turn(a_message(to=conversation))
    service.clock.advance(5)
    header = await service.close_conversation(TENANT, conversation)
    assert (header.status, header.message_count) == (ConversationStatus.CLOSED, 2)
    assert header.updated_at == service.clock.now
    stored = await service.reader.get_conversation(TENANT, conversation)
    assert stored.status is ConversationStatus.CLOSED
    assert service.event_names()[-1] == "ConversationClosed"


async def test_closing_a_closed_conversation_changes_nothing() -> None:
    service = Service()
    conversation = await service.a_conversation()
    await service.close_conversation(TENANT, conversation)
    stored = await service.reader.get_conversation(TENANT, conversation)
    service.clock.advance(5)
    assert await service.close_conversation(TENANT, conversation) == stored
    assert await service.reader.get_conversation(TENANT, conversation) == stored
    assert service.event_names().count("ConversationClosed") == 1


async def test_a_conversation_that_is_answering_is_not_closed() -> None:
    service = Service()
    attempt = (await service.accept(a_message())).attempt
    assert attempt is not None
    with pytest.raises(ConversationBusy):
        await service.close_conversation(TENANT, attempt.conversation_id)
    header = await service.reader.get_conversation(TENANT, attempt.conversation_id)
    assert header.status is ConversationStatus.OPEN


async def test_closing_fails_a_turn_that_crashed() -> None:
    service = Service()
    attempt = (await service.accept(a_message())).attempt
    assert attempt is not None
    service.clock.advance(30)
    await service.close_conversation(TENANT, attempt.conversation_id)
    turn = await service.reader.get_turn(TENANT, attempt.turn_id)
    assert turn.status is TurnStatus.FAILED


async def test_another_tenants_conversation_is_not_found() -> None:
    service = Service()
    conversation = await service.a_conversation()
    with pytest.raises(ConversationNotFound):
        await service.close_conversation(TenantId("globex"), conversation)


@pytest.mark.parametrize("written", [True, False])
async def test_a_conversation_that_may_have_been_closed_is_closed(*, written: bool) -> None:
    service = Service()
    conversation = await service.a_conversation()
    service.commits.append(Trouble(error=CommitUnknown("broken off"), written=written))
    header = await service.close_conversation(TENANT, conversation)
    assert header.status is ConversationStatus.CLOSED
    assert service.event_names().count("ConversationClosed") == 1


async def test_a_database_that_hangs_is_not_waited_for_without_end(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("prosa.application.commit.SECONDS_TO_STORE", 0.01)
    service = Service()
    conversation = await service.a_conversation()
    service.commits.append(Trouble())
    async with asyncio.timeout(30):
        with pytest.raises(CommitUnknown):
            await service.close_conversation(TENANT, conversation)
