"""What the in-memory adapters share: the committed state of all tenants."""

from collections import defaultdict
from dataclasses import dataclass, field

from prosa.application.ports.request_log import LoggedRequest, RequestKey
from prosa.domain.conversation_header import ConversationHeader
from prosa.domain.events import Event
from prosa.domain.identifiers import ConversationId, TenantId, TurnId
from prosa.domain.message import Message
from prosa.domain.turn import Attempt, Turn


@dataclass(slots=True, kw_only=True)
class TenantState:
    """The committed state of one tenant."""

    headers: dict[ConversationId, ConversationHeader] = field(default_factory=dict)
    messages: dict[ConversationId, list[Message]] = field(default_factory=dict)
    turns: dict[TurnId, Turn] = field(default_factory=dict)
    attempts: dict[tuple[TurnId, int], Attempt] = field(default_factory=dict)
    requests: dict[RequestKey, LoggedRequest] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)


class InMemoryStorage:
    """Holds each tenant's state for as long as it lives."""

    def __init__(self) -> None:
        self._tenants: defaultdict[TenantId, TenantState] = defaultdict(TenantState)

    def of(self, tenant_id: TenantId) -> TenantState:
        """Get a tenant's state; one never heard of has an empty one."""
        return self._tenants[tenant_id]
