"""Start a conversation."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from prosa.application.commit import committed, storing
from prosa.application.idempotency import fingerprint, require_same_request
from prosa.application.ports.conversation_reader import ConversationReader
from prosa.application.ports.request_log import LoggedRequest, RequestKey
from prosa.application.ports.unit_of_work import (
    CommitUnknown,
    StorageUnavailable,
    UnitOfWork,
    UnitOfWorkFactory,
)
from prosa.domain.conversation import Conversation
from prosa.domain.conversation_header import ConversationHeader
from prosa.domain.errors import ConversationNotFound, KeyTaken
from prosa.domain.field_rules import require_request
from prosa.domain.identifiers import (
    DEFAULT_TENANT,
    Clock,
    ConversationId,
    NewHex,
    TenantId,
)
from prosa.domain.moment import Moment

OPERATION = "start_conversation"


@dataclass(frozen=True, slots=True, kw_only=True)
class NewConversation:
    """What a conversation is started with. `customer_id` is the tenant's own reference.

    Raises InvalidField where a field holds what it may not hold.
    """

    tenant_id: TenantId = DEFAULT_TENANT
    customer_id: str | None = None
    channel: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    caller: str = ""
    idempotency_key: str | None = None

    def __post_init__(self) -> None:
        """Check what it holds."""
        require_request(
            tenant_id=self.tenant_id,
            caller=self.caller,
            idempotency_key=self.idempotency_key,
            customer_id=self.customer_id,
            channel=self.channel,
            metadata=self.metadata,
        )

    @property
    def fingerprint(self) -> str:
        """What makes another request with the same key the same."""
        return fingerprint(
            customer_id=self.customer_id, channel=self.channel, metadata=self.metadata
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class StartedConversation:
    """The conversation as it was when it started, and whether it had been started before."""

    header: ConversationHeader
    replayed: bool


class StartConversation:
    """Starts conversations, once for each idempotency key."""

    def __init__(
        self,
        *,
        units_of_work: UnitOfWorkFactory,
        reader: ConversationReader,
        clock: Clock,
        new_hex: NewHex,
    ) -> None:
        self._units_of_work = units_of_work
        self._reader = reader
        self._clock = clock
        self._new_hex = new_hex

    async def __call__(self, request: NewConversation) -> StartedConversation:
        """Start a conversation, or find the one that its idempotency key started.

        Raises KeyReused; KeyTaken where what holds the key cannot be read; StorageUnavailable,
        VersionConflict, and CommitUnknown where the database does not answer in ten seconds.
        """
        async with storing(self._clock):
            return await self._start(request)

    async def _start(self, request: NewConversation) -> StartedConversation:
        conversation = self._new(request)

        async def start(work: UnitOfWork) -> None:
            work.conversations.add(conversation)
            if request.idempotency_key is not None:
                key = _key_of(request, request.idempotency_key)
                work.requests.add(_claim_of(key, request, conversation))

        try:
            await committed(self._units_of_work, request.tenant_id, start)
        except KeyTaken as taken:
            return await self._started_before(request, taken)
        except CommitUnknown as error:
            await self._require_started(conversation, error)
        return StartedConversation(header=conversation.header, replayed=False)

    def _new(self, request: NewConversation) -> Conversation:
        return Conversation.start(
            tenant_id=request.tenant_id,
            customer_id=request.customer_id,
            channel=request.channel,
            metadata=request.metadata,
            at=Moment(now=self._clock(), new_hex=self._new_hex),
        )

    async def _require_started(self, conversation: Conversation, error: CommitUnknown) -> None:
        """Look whether it is there. Raises StorageUnavailable."""
        header = conversation.header
        try:
            await self._reader.get_conversation(header.tenant_id, header.id)
        except ConversationNotFound:
            raise StorageUnavailable("the conversation could not be stored") from error

    async def _started_before(
        self, request: NewConversation, taken: KeyTaken
    ) -> StartedConversation:
        async with self._units_of_work(request.tenant_id) as work:
            logged = await work.requests.find(_key_of(request, taken.key))
        if logged is None:
            raise taken
        require_same_request(logged, request.fingerprint)
        header = await self._reader.get_conversation(
            request.tenant_id, ConversationId(logged.resource_id)
        )
        return StartedConversation(header=header.as_started, replayed=True)


def _claim_of(
    key: RequestKey, request: NewConversation, conversation: Conversation
) -> LoggedRequest:
    return LoggedRequest(
        key=key,
        fingerprint=request.fingerprint,
        resource_id=conversation.header.id,
        created_at=conversation.header.created_at,
    )


def _key_of(request: NewConversation, key: str) -> RequestKey:
    return RequestKey(caller=request.caller, operation=OPERATION, key=key)
