"""A customer reaches their own conversations; of any other there is no sign."""

import pytest

from prosa.application.accept_turn import CustomerMessage
from prosa.application.own_conversations import OwnConversations
from prosa.application.ports.conversation_reader import ConversationFilter, ConversationReader
from prosa.application.start_conversation import NewConversation
from prosa.domain.conversation_header import ConversationStatus
from prosa.domain.errors import ConversationNotFound, TurnNotFound
from prosa.domain.identifiers import ConversationId, TenantId
from tests.application.service import TENANT, Service

ANA, RUI = "ana", "rui"


async def started(service: Service, customer_id: str | None = ANA) -> ConversationId:
    request = NewConversation(tenant_id=TENANT, customer_id=customer_id)
    return (await service.start_conversation(request)).header.id


def message(to: ConversationId | None, asking: str | None = None) -> CustomerMessage:
    return CustomerMessage(
        text="Cadê?", tenant_id=TENANT, conversation_id=to, asking_customer_id=asking
    )


async def listed(reader: ConversationReader, **wanted: str) -> list[str | None]:
    page = await reader.list_conversations(
        TENANT,
        ConversationFilter(customer_id=wanted.get("customer_id")),
        limit=10,
        after=None,
        ascending=True,
    )
    return [header.customer_id for header in page.items]


async def test_what_is_ones_own_is_read_as_it_is() -> None:
    service = Service()
    conversation = await started(service)
    turn = (await service.take_turn(message(conversation))).turn
    own = OwnConversations(service.reader, ANA)
    assert (await own.get_conversation(TENANT, conversation)).id == conversation
    assert await own.get_turn(TENANT, turn.id) == turn
    page = await own.list_messages(TENANT, conversation, limit=10, after=None, ascending=True)
    assert [said.sequence for said in page.items] == [1, 2]


@pytest.mark.parametrize("owner", [RUI, None])
async def test_what_is_anothers_reads_as_if_it_did_not_exist(owner: str | None) -> None:
    service = Service()
    conversation = await started(service, owner)
    turn = (await service.take_turn(message(conversation))).turn
    own = OwnConversations(service.reader, ANA)
    with pytest.raises(ConversationNotFound):
        await own.get_conversation(TENANT, conversation)
    with pytest.raises(TurnNotFound):
        await own.get_turn(TENANT, turn.id)
    with pytest.raises(ConversationNotFound):
        await own.list_messages(TENANT, conversation, limit=10, after=None, ascending=True)


async def test_a_list_has_ones_own_whatever_is_asked_for() -> None:
    service = Service()
    for customer_id in (ANA, RUI, None, ANA):
        await started(service, customer_id)
    own = OwnConversations(service.reader, ANA)
    assert await listed(own) == await listed(own, customer_id=RUI) == [ANA, ANA]


async def test_the_same_name_at_another_tenant_is_another_customer() -> None:
    service = Service()
    conversation = await started(service)
    with pytest.raises(ConversationNotFound):
        await OwnConversations(service.reader, ANA).get_conversation(
            TenantId("other"), conversation
        )


@pytest.mark.parametrize("asking", [None, ANA])
async def test_a_message_is_taken_in_a_conversation_of_ones_own(asking: str | None) -> None:
    service = Service()
    conversation = await started(service)
    assert (await service.take_turn(message(conversation, asking))).turn.reply


@pytest.mark.parametrize("owner", [RUI, None])
async def test_a_message_for_anothers_conversation_changes_nothing(owner: str | None) -> None:
    service = Service()
    conversation = await started(service, owner)
    before = await service.reader.get_conversation(TENANT, conversation)
    with pytest.raises(ConversationNotFound):
        await service.accept(message(conversation, asking=ANA))
    assert await service.reader.get_conversation(TENANT, conversation) == before


async def test_only_ones_own_conversation_is_closed() -> None:
    service = Service()
    conversation = await started(service)
    with pytest.raises(ConversationNotFound):
        await service.close_conversation(TENANT, conversation, asking_customer_id=RUI)
    header = await service.close_conversation(TENANT, conversation, asking_customer_id=ANA)
    assert header.status is ConversationStatus.CLOSED
