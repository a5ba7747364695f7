"""Replies that nobody waits for go out to their channel, once."""

from dataclasses import replace

import pytest

from prosa.adapters.in_memory.delivery_ledger import InMemoryDeliveryLedger
from prosa.adapters.in_memory.reply_outlet import RecordingReplyOutlet
from prosa.application.deliver_reply import DeliverReply
from prosa.application.ports.reply_outlet import ReplyOutletError
from prosa.application.ports.unit_of_work import StorageUnavailable
from prosa.application.start_conversation import NewConversation
from prosa.domain.conversation_header import Owner
from prosa.domain.turn import Turn
from tests.application.service import TENANT, Service, Trouble, a_message


class Delivering:
    """An installation with an outlet and a ledger."""

    def __init__(self, *, outlet: RecordingReplyOutlet | None = None) -> None:
        self.service = Service(always="Saiu para entrega.")
        self.outlet = outlet or RecordingReplyOutlet()
        self.ledger = InMemoryDeliveryLedger()
        self.deliver = DeliverReply(
            reader=self.service.reader,
            ledger=self.ledger,
            outlet=self.outlet,
            clock=self.service.clock,
        )

    async def a_turn(self, *, caller_waits: bool = False) -> Turn:
        """Take a turn."""
        started = await self.service.start_conversation(
            NewConversation(tenant_id=TENANT, customer_id="customer-7", channel="whatsapp")
        )
        message = a_message(to=started.header.id, caller_waits=caller_waits)
        return (await self.service.take_turn(message)).turn


async def test_a_reply_is_sent_with_all_that_its_channel_needs_and_remembered() -> None:
    delivering = Delivering()
    turn = await delivering.a_turn()
    assert turn.reply is not None
    assert await delivering.deliver(TENANT, turn)
    (sent,) = delivering.outlet.sent
    assert (sent.id, sent.text) == (turn.reply.id, "Saiu para entrega.")
    assert (sent.conversation_id, sent.turn_id) == (turn.conversation_id, turn.id)
    assert (sent.message_id, sent.channel, sent.customer_id) == (
        turn.message.id,
        "whatsapp",
        "customer-7",
    )
    delivery = await delivering.ledger.find(TENANT, turn.reply.id)
    assert delivery is not None
    assert delivery.delivered_at == delivering.service.clock.now


async def test_a_reply_that_was_delivered_is_not_sent_again() -> None:
    delivering = Delivering()
    turn = await delivering.a_turn()
    assert [await delivering.deliver(TENANT, turn) for _ in range(3)] == [True, False, False]
    assert len(delivering.outlet.sent) == 1


async def test_what_a_caller_waits_for_is_not_sent_to_the_channel_as_well() -> None:
    delivering = Delivering()
    assert not await delivering.deliver(TENANT, await delivering.a_turn(caller_waits=True))
    assert delivering.outlet.sent == []


async def test_where_a_human_answers_there_is_nothing_to_send() -> None:
    delivering = Delivering()
    turn = await delivering.a_turn()
    headers = delivering.service.state.headers
    headers[turn.conversation_id] = replace(headers[turn.conversation_id], owner=Owner.HUMAN)
    message = a_message(to=turn.conversation_id, caller_waits=False)
    unanswered = (await delivering.service.take_turn(message)).turn
    assert not await delivering.deliver(TENANT, unanswered)
    assert delivering.outlet.sent == []


async def test_what_could_not_be_sent_is_sent_the_next_time() -> None:
    delivering = Delivering(outlet=RecordingReplyOutlet([ReplyOutletError("away")]))
    turn = await delivering.a_turn()
    with pytest.raises(ReplyOutletError):
        await delivering.deliver(TENANT, turn)
    assert await delivering.deliver(TENANT, turn)
    assert len(delivering.outlet.sent) == 1


async def test_nothing_is_sent_where_the_conversation_cannot_be_read() -> None:
    delivering = Delivering()
    turn = await delivering.a_turn()
    delivering.service.reader.troubles.append(Trouble(error=StorageUnavailable("away")))
    with pytest.raises(StorageUnavailable):
        await delivering.deliver(TENANT, turn)
    assert delivering.outlet.sent == []
