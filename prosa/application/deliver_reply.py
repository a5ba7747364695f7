"""Deliver a reply that nobody waits for: out to its channel, once."""

from prosa.application.ports.conversation_reader import ConversationReader
from prosa.application.ports.delivery_ledger import Delivery, DeliveryLedger
from prosa.application.ports.reply_outlet import OutgoingReply, ReplyOutlet
from prosa.domain.conversation_header import ConversationHeader
from prosa.domain.identifiers import Clock, TenantId
from prosa.domain.message import Message
from prosa.domain.turn import Turn


class DeliverReply:
    """Sends replies, each as often as it takes for the outlet to have it, and not again."""

    def __init__(
        self,
        *,
        reader: ConversationReader,
        ledger: DeliveryLedger,
        outlet: ReplyOutlet,
        clock: Clock,
    ) -> None:
        self._reader = reader
        self._ledger = ledger
        self._outlet = outlet
        self._clock = clock

    async def __call__(self, tenant_id: TenantId, turn: Turn) -> bool:
        """Send a turn's reply, unless it was or a caller was given it; tells whether it did.

        It is remembered after it was sent: whoever dies in between sends it again, under the same
        id. Raises ReplyOutletError, StorageUnavailable.
        """
        reply = turn.reply
        if reply is None or turn.caller_waits:
            return False
        if await self._ledger.find(tenant_id, reply.id) is not None:
            return False
        header = await self._reader.get_conversation(tenant_id, turn.conversation_id)
        await self._outlet.send(_outgoing(header, turn, reply))
        await self._ledger.add(
            Delivery(tenant_id=tenant_id, reply_id=reply.id, delivered_at=self._clock())
        )
        return True


def _outgoing(header: ConversationHeader, turn: Turn, reply: Message) -> OutgoingReply:
    return OutgoingReply(
        id=reply.id,
        tenant_id=header.tenant_id,
        conversation_id=header.id,
        turn_id=turn.id,
        message_id=turn.message.id,
        channel=header.channel,
        customer_id=header.customer_id,
        metadata=turn.message.metadata,
        text=reply.text,
        created_at=reply.created_at,
    )
