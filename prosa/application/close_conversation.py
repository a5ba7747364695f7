"""Close a conversation."""

from prosa.application.commit import committed, storing
from prosa.application.ports.unit_of_work import CommitUnknown, UnitOfWork, UnitOfWorkFactory
from prosa.domain.conversation_header import ConversationHeader
from prosa.domain.field_rules import require_storable
from prosa.domain.identifiers import Clock, ConversationId, NewHex, TenantId
from prosa.domain.moment import Moment


class CloseConversation:
    """Closes conversations; closing a closed one changes nothing."""

    def __init__(self, *, units_of_work: UnitOfWorkFactory, clock: Clock, new_hex: NewHex) -> None:
        self._units_of_work = units_of_work
        self._clock = clock
        self._new_hex = new_hex

    async def __call__(
        self,
        tenant_id: TenantId,
        conversation_id: ConversationId,
        *,
        asking_customer_id: str | None = None,
    ) -> ConversationHeader:
        """Close it.

        `asking_customer_id` is the customer who asks, where one does: only their own is found.
        Where it is unknown whether it was closed, it is closed again. Raises InvalidField,
        ConversationNotFound, ConversationBusy, StorageUnavailable, VersionConflict, and
        CommitUnknown where that is no clearer, or the database does not answer in ten seconds.
        """
        require_storable("conversation_id", conversation_id)

        async def close(work: UnitOfWork) -> ConversationHeader:
            conversation = await work.conversations.get(conversation_id)
            conversation.header.require_reachable(asking_customer_id)
            conversation.close(at=Moment(now=self._clock(), new_hex=self._new_hex))
            work.conversations.save(conversation)
            return conversation.header

        async with storing(self._clock):
            try:
                return await committed(self._units_of_work, tenant_id, close)
            except CommitUnknown:
                return await committed(self._units_of_work, tenant_id, close)
