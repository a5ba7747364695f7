"""A turn: one customer message and what came of it; and an attempt, one try at it."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from prosa.domain.conversation_header import ConversationHeader
from prosa.domain.identifiers import ConversationId, TenantId, TurnId
from prosa.domain.intent import Intent
from prosa.domain.message import Message
from prosa.domain.reply import Call, PromptReference, Reply
from prosa.domain.verdict import Finding

LEASE_AFTER_DEADLINE = timedelta(seconds=5)
"""How long past its deadline a turn is held for its attempt before another may take it over."""

TIME_TO_COMMIT = timedelta(seconds=2)
SHARE_TO_COMMIT = 5
"""The end of a turn keeps two seconds, or a fifth of the whole time where that is less."""

MAX_FAILURES = 5
"""After this many failures a turn is failed for good."""


class TurnStatus(StrEnum):
    """Where a turn stands."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnError:
    """Why a turn failed. `retryable`: the same idempotency key makes it run again."""

    code: str
    retryable: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One customer message and what came of it: the unit of idempotency, retry and billing.

    `attempt` is the fence: only the newest attempt can record. `failures` counts towards the limit.
    `deadline` and `lease_until` belong to the newest attempt.
    """

    id: TurnId
    conversation_id: ConversationId
    status: TurnStatus
    attempt: int
    failures: int
    deadline: datetime
    lease_until: datetime
    caller_waits: bool
    message: Message
    created_at: datetime
    reply: Message | None = None
    intent: Intent | None = None
    error: TurnError | None = None
    completed_at: datetime | None = None

    def lease_has_run_out(self, now: datetime) -> bool:
        """Whether its attempt has had its time, so that it must have crashed."""
        return now >= self.lease_until


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """One try at a turn and what it has found so far: each step takes one and returns the next.

    `header` and `turn` are as they were when the attempt began; `history` ends with the customer's
    message. A step leaves alone what it does not find out.
    """

    header: ConversationHeader
    turn: Turn
    history: tuple[Message, ...]
    intent: Intent | None = None
    findings: tuple[Finding, ...] = ()
    prompt: PromptReference | None = None
    reply: Reply | None = None
    """What the customer will read: screened, in released pieces joined."""
    calls: tuple[Call, ...] = ()
    """The calls to providers that were answered."""
    calls_made: int = 0
    """All calls to providers, also those that failed."""
    said: str = ""
    """What the customer was shown before an interruption; of broken streams only."""

    @property
    def tenant_id(self) -> TenantId:
        """Whose conversation it is."""
        return self.header.tenant_id

    @property
    def conversation_id(self) -> ConversationId:
        """Where the turn is taken."""
        return self.header.id

    @property
    def turn_id(self) -> TurnId:
        """What is tried."""
        return self.turn.id

    @property
    def number(self) -> int:
        """Which try it is, from 1: the fence."""
        return self.turn.attempt

    @property
    def deadline(self) -> datetime:
        """When an answer is due."""
        return self.turn.deadline

    @property
    def models_deadline(self) -> datetime:
        """When the models have to be done, so that the answer can be stored by the deadline."""
        began_at = self.header.updated_at
        whole = self.turn.deadline - began_at
        return self.turn.deadline - min(TIME_TO_COMMIT, whole / SHARE_TO_COMMIT)


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnOutcome:
    """What taking a turn brings: the turn, and whether it had been taken before."""

    turn: Turn
    replayed: bool
