"""What the in-memory adapters share: the committed state of all tenants."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from prosa.application.ports.request_log import LoggedRequest, RequestKey
from prosa.domain.conversation_header import ConversationHeader
from prosa.domain.events import Event
from prosa.domain.identifiers import ConversationId, EventId, TenantId, TurnId
from prosa.domain.message import Message
from prosa.domain.turn import Attempt, Turn


@dataclass(frozen=True, slots=True, kw_only=True)
class Relaying:
    """How far an event has come on its way to the bus."""

    tries: int = 0
    next_try_at: datetime | None = None
    published_at: datetime | None = None
    parked_at: datetime | None = None
    last_error: str | None = None

    @property
    def waits(self) -> bool:
        """Whether it is neither published nor parked."""
        return self.published_at is None and self.parked_at is None


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
        self.relaying: defaultdict[EventId, Relaying] = defaultdict(Relaying)
        """What has become of each event, of all tenants."""

    def of(self, tenant_id: TenantId) -> TenantState:
        """Get a tenant's state; one never heard of has an empty one."""
        return self._tenants[tenant_id]

    def all_turns(self) -> Iterable[tuple[TenantId, Turn]]:
        """Go through every tenant's committed turns."""
        return (
            (tenant_id, turn)
            for tenant_id, state in self._tenants.items()
            for turn in state.turns.values()
        )

    def all_events(self) -> Iterable[Event]:
        """Go through every tenant's committed events."""
        return (event for state in self._tenants.values() for event in state.events)
