"""What every conversation reader promises."""

from dataclasses import replace

import pytest

from prosa.application.ports.conversation_reader import ConversationFilter, ConversationReader
from prosa.application.ports.unit_of_work import UnitOfWorkFactory
from prosa.domain.conversation import Conversation
from prosa.domain.conversation_header import ConversationStatus, Owner
from prosa.domain.errors import ConversationNotFound, TurnNotFound
from prosa.domain.identifiers import ConversationId, MessageId, TenantId, TurnId
from prosa.domain.turn import TurnStatus
from prosa.testing.builders import VirtualClock, a_conversation, a_tenant
from prosa.testing.unit_of_work_contract import (
    a_conversation_of,
    a_running_turn,
    add,
    load,
    record,
)

EVERYTHING = ConversationFilter()


class ConversationReaderContract:
    """Subclass it with two fixtures, `reader` and `units_of_work`, on the same migrated storage."""

    @pytest.fixture
    def clock(self) -> VirtualClock:
        return VirtualClock()

    @pytest.fixture
    def tenant(self) -> TenantId:
        return a_tenant()

    async def test_a_conversations_header_reads_as_it_was_saved(
        self,
        reader: ConversationReader,
        units_of_work: UnitOfWorkFactory,
        clock: VirtualClock,
        tenant: TenantId,
    ) -> None:
        conversation = a_conversation(clock, tenant, metadata={"campanha": "natal"})
        await add(units_of_work, conversation)
        header = await reader.get_conversation(tenant, conversation.header.id)
        assert header == replace(conversation.header, version=1)

    async def test_a_turn_reads_with_its_message_and_its_reply(
        self,
        reader: ConversationReader,
        units_of_work: UnitOfWorkFactory,
        clock: VirtualClock,
        tenant: TenantId,
    ) -> None:
        conversation, running = await a_running_turn(units_of_work, clock, tenant)
        assert await reader.get_turn(tenant, running.id) == running
        completed = await record(units_of_work, conversation, running, clock)
        assert await reader.get_turn(tenant, running.id) == completed
        assert completed.status is TurnStatus.COMPLETED

    async def test_conversations_are_listed_by_their_start(
        self,
        reader: ConversationReader,
        units_of_work: UnitOfWorkFactory,
        clock: VirtualClock,
        tenant: TenantId,
    ) -> None:
        ids = [await a_stored_conversation(units_of_work, clock, tenant) for _ in range(3)]
        for ascending, expected in ((True, ids), (False, ids[::-1])):
            page = await reader.list_conversations(
                tenant, EVERYTHING, limit=10, after=None, ascending=ascending
            )
            assert [header.id for header in page.items] == expected
            assert not page.has_more

    async def test_pages_of_conversations_follow_each_other_without_gaps(
        self,
        reader: ConversationReader,
        units_of_work: UnitOfWorkFactory,
        clock: VirtualClock,
        tenant: TenantId,
    ) -> None:
        ids = [await a_stored_conversation(units_of_work, clock, tenant) for _ in range(5)]
        for ascending, expected in ((True, ids), (False, ids[::-1])):
            seen: list[ConversationId] = []
            has_more = True
            while has_more:
                page = await reader.list_conversations(
                    tenant,
                    EVERYTHING,
                    limit=2,
                    after=seen[-1] if seen else None,
                    ascending=ascending,
                )
                seen += [header.id for header in page.items]
                has_more = page.has_more
            assert seen == expected

    async def test_conversations_are_found_by_customer_status_and_owner(
        self,
        reader: ConversationReader,
        units_of_work: UnitOfWorkFactory,
        clock: VirtualClock,
        tenant: TenantId,
    ) -> None:
        ana = await a_stored_conversation(units_of_work, clock, tenant, customer_id="ana")
        await a_stored_conversation(units_of_work, clock, tenant, customer_id="rui")
        closed = await a_stored_conversation(units_of_work, clock, tenant, customer_id="ana")
        await close(units_of_work, closed, clock, tenant)
        filters = {
            ConversationFilter(customer_id="ana", status=ConversationStatus.OPEN): [ana],
            ConversationFilter(status=ConversationStatus.CLOSED): [closed],
            ConversationFilter(owner=Owner.HUMAN): [],
            ConversationFilter(customer_id="nobody"): [],
        }
        for matching, expected in filters.items():
            page = await reader.list_conversations(
                tenant, matching, limit=10, after=None, ascending=True
            )
            assert [header.id for header in page.items] == expected

    async def test_messages_are_listed_by_their_sequence(
        self,
        reader: ConversationReader,
        units_of_work: UnitOfWorkFactory,
        clock: VirtualClock,
        tenant: TenantId,
    ) -> None:
        conversation = await a_conversation_of(2, units_of_work, clock, tenant)
        for ascending, expected in ((True, [1, 2, 3, 4]), (False, [4, 3, 2, 1])):
            page = await reader.list_messages(
                tenant, conversation.header.id, limit=10, after=None, ascending=ascending
            )
            assert [message.sequence for message in page.items] == expected

    async def test_pages_of_messages_follow_each_other_without_gaps(
        self,
        reader: ConversationReader,
        units_of_work: UnitOfWorkFactory,
        clock: VirtualClock,
        tenant: TenantId,
    ) -> None:
        conversation = await a_conversation_of(3, units_of_work, clock, tenant)
        for ascending, expected in ((True, [1, 2, 3, 4, 5, 6]), (False, [6, 5, 4, 3, 2, 1])):
            sequences: list[int] = []
            after: MessageId | None = None
            has_more = True
            while has_more:
                page = await reader.list_messages(
                    tenant, conversation.header.id, limit=4, after=after, ascending=ascending
                )
                sequences += [message.sequence for message in page.items]
                after, has_more = page.items[-1].id, page.has_more
            assert sequences == expected

    async def test_messages_read_as_they_were_said(
        self,
        reader: ConversationReader,
        units_of_work: UnitOfWorkFactory,
        clock: VirtualClock,
        tenant: TenantId,
    ) -> None:
        conversation = await a_conversation_of(1, units_of_work, clock, tenant)
        page = await reader.list_messages(
            tenant, conversation.header.id, limit=10, after=None, ascending=True
        )
        assert page.items == (await load(units_of_work, conversation, history=10)).history

    async def test_behind_a_message_that_is_not_there_nothing_follows(
        self,
        reader: ConversationReader,
        units_of_work: UnitOfWorkFactory,
        clock: VirtualClock,
        tenant: TenantId,
    ) -> None:
        conversation = await a_conversation_of(1, units_of_work, clock, tenant)
        page = await reader.list_messages(
            tenant,
            conversation.header.id,
            limit=10,
            after=MessageId("msg_" + "0" * 32),
            ascending=True,
        )
        assert page.items == ()

    async def test_a_conversation_without_messages_has_an_empty_list(
        self,
        reader: ConversationReader,
        units_of_work: UnitOfWorkFactory,
        clock: VirtualClock,
        tenant: TenantId,
    ) -> None:
        conversation_id = await a_stored_conversation(units_of_work, clock, tenant)
        page = await reader.list_messages(
            tenant, conversation_id, limit=10, after=None, ascending=True
        )
        assert page.items == ()

    async def test_what_does_not_exist_is_not_found(
        self, reader: ConversationReader, tenant: TenantId
    ) -> None:
        nowhere = ConversationId("conv_" + "0" * 32)
        with pytest.raises(ConversationNotFound):
            await reader.get_conversation(tenant, nowhere)
        with pytest.raises(ConversationNotFound):
            await reader.list_messages(tenant, nowhere, limit=1, after=None, ascending=True)
        with pytest.raises(TurnNotFound):
            await reader.get_turn(tenant, TurnId("turn_" + "0" * 32))

    async def test_another_tenant_sees_none_of_it(
        self,
        reader: ConversationReader,
        units_of_work: UnitOfWorkFactory,
        clock: VirtualClock,
        tenant: TenantId,
    ) -> None:
        conversation, running = await a_running_turn(units_of_work, clock, tenant)
        other = a_tenant()
        with pytest.raises(ConversationNotFound):
            await reader.get_conversation(other, conversation.header.id)
        with pytest.raises(TurnNotFound):
            await reader.get_turn(other, running.id)
        with pytest.raises(ConversationNotFound):
            await reader.list_messages(
                other, conversation.header.id, limit=1, after=None, ascending=True
            )
        page = await reader.list_conversations(
            other, EVERYTHING, limit=10, after=None, ascending=True
        )
        assert page.items == ()


async def a_stored_conversation(
    units_of_work: UnitOfWorkFactory,
    clock: VirtualClock,
    tenant: TenantId,
    *,
    customer_id: str | None = None,
) -> ConversationId:
    """Store a conversation of a customer's."""
    conversation: Conversation = a_conversation(clock, tenant, customer_id=customer_id)
    await add(units_of_work, conversation)
    return conversation.header.id


async def close(
    units_of_work: UnitOfWorkFactory,
    conversation_id: ConversationId,
    clock: VirtualClock,
    tenant: TenantId,
) -> None:
    """Close a stored conversation."""
    async with units_of_work(tenant) as work:
        conversation = await work.conversations.get(conversation_id)
        conversation.close(at=clock.moment)
        work.conversations.save(conversation)
        await work.commit()
