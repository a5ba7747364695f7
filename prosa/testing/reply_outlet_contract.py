"""What every reply outlet promises."""

from abc import abstractmethod
from collections.abc import Sequence

import pytest

from prosa.application.ports.reply_outlet import OutgoingReply, ReplyOutlet, ReplyOutletError
from prosa.domain.identifiers import ConversationId, MessageId, TenantId, TurnId
from prosa.testing.builders import NOON

TEXT = "Saiu para entrega, não é?"


class ReplyOutletContract:
    """Subclass it with the fixtures `outlet` and `broken`, and the method `arrived`."""

    @abstractmethod
    async def arrived(self, outlet: ReplyOutlet) -> Sequence[tuple[str, str]]:
        """List the replies that came out at the other end: each one's id and text."""

    async def test_a_reply_arrives_with_its_id_and_to_the_letter(self, outlet: ReplyOutlet) -> None:
        await outlet.send(a_reply(1))
        assert list(await self.arrived(outlet)) == [(a_reply(1).id, TEXT)]

    async def test_one_that_works_is_found_to(self, outlet: ReplyOutlet) -> None:
        await outlet.check()
        assert list(await self.arrived(outlet)) == []

    async def test_replies_of_a_conversation_arrive_in_order(self, outlet: ReplyOutlet) -> None:
        for number in (1, 2, 3):
            await outlet.send(a_reply(number))
        assert [id_ for id_, _ in await self.arrived(outlet)] == [
            a_reply(number).id for number in (1, 2, 3)
        ]

    async def test_a_reply_that_is_sent_again_arrives_under_the_same_id(
        self, outlet: ReplyOutlet
    ) -> None:
        for _ in range(2):
            await outlet.send(a_reply(1))
        assert {id_ for id_, _ in await self.arrived(outlet)} == {a_reply(1).id}

    async def test_an_outlet_that_cannot_be_reached_is_an_error(self, broken: ReplyOutlet) -> None:
        with pytest.raises(ReplyOutletError) as failed:
            await broken.send(a_reply(1))
        assert failed.value.transient
        assert TEXT not in str(failed.value)


def a_reply(number: int) -> OutgoingReply:
    """Make a reply."""
    return OutgoingReply(
        id=MessageId(f"msg_{number:032x}"),
        tenant_id=TenantId("acme"),
        conversation_id=ConversationId(f"conv_{0:032x}"),
        turn_id=TurnId(f"turn_{number:032x}"),
        message_id=MessageId(f"msg_{number + 1000:032x}"),
        channel="whatsapp",
        customer_id="customer-7",
        metadata={"order": "4711"},
        text=TEXT,
        created_at=NOON,
    )
