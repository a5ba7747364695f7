"""Accept a customer's message: claim a turn for it, or find what its key brought before.

It runs at the door, so that whoever asks is told at once what cannot be.
"""

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from prosa.application.commit import TRIES, committed, storing_by
from prosa.application.idempotency import fingerprint, require_same_request
from prosa.application.limit import Limit
from prosa.application.ports.conversation_reader import ConversationReader
from prosa.application.ports.guardrail import Guardrail, GuardrailError, Passage
from prosa.application.ports.request_log import LoggedRequest, RequestKey
from prosa.application.ports.unit_of_work import (
    CommitUnknown,
    StorageUnavailable,
    UnitOfWork,
    UnitOfWorkFactory,
)
from prosa.application.turn_policy import TurnPolicy
from prosa.domain.conversation import Conversation
from prosa.domain.errors import (
    ConversationBusy,
    ConversationClosed,
    KeyTaken,
    TurnFailed,
    TurnNotFound,
)
from prosa.domain.field_rules import require_request, require_storable, require_text
from prosa.domain.identifiers import DEFAULT_TENANT, Clock, ConversationId, NewHex, TenantId, TurnId
from prosa.domain.moment import Moment
from prosa.domain.reply import CannedReplies, refusal
from prosa.domain.turn import Attempt, Turn, TurnStatus
from prosa.domain.verdict import Allowed, Blocked, Direction, Redacted, Verdict, findings_of

OPERATION = "take_turn"

LONGEST_WAIT_SECONDS = 25.0
"""No caller waits longer: gateways and proxies give up before half a minute is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerMessage:
    """A customer's message. Where it names no conversation, it starts one.

    `customer_id` and `channel` are for the conversation that is started. `asking_customer_id` is
    the customer who asks, where it is one and no program of the tenant's: only a conversation of
    their own is found. `wait_seconds` shortens the deadline of who waits; `caller_waits` is false
    where nobody waits for the answer. Raises InvalidField where a field holds what it may not hold.
    """

    text: str
    tenant_id: TenantId = DEFAULT_TENANT
    conversation_id: ConversationId | None = None
    customer_id: str | None = None
    asking_customer_id: str | None = None
    channel: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    caller: str = ""
    idempotency_key: str | None = None
    wait_seconds: float | None = None
    caller_waits: bool = True

    def __post_init__(self) -> None:
        """Check what it holds."""
        require_text(self.text)
        if self.conversation_id is not None:
            require_storable("conversation_id", self.conversation_id)
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
            text=self.text,
            conversation_id=self.conversation_id,
            customer_id=self.customer_id,
            channel=self.channel,
            metadata=self.metadata,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class AcceptedTurn:
    """A turn that was claimed. `attempt` is None where it is finished already."""

    turn: Turn
    attempt: Attempt | None
    replayed: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class _Asked:
    """A message with what was found out at the door."""

    message: CustomerMessage
    verdict: Verdict
    deadline: datetime


class AcceptTurn:
    """Claims turns, once for each idempotency key."""

    def __init__(
        self,
        *,
        units_of_work: UnitOfWorkFactory,
        reader: ConversationReader,
        guardrail: Guardrail,
        canned_replies: CannedReplies,
        policy: TurnPolicy,
        clock: Clock,
        new_hex: NewHex,
    ) -> None:
        self._units_of_work = units_of_work
        self._reader = reader
        self._guardrail = guardrail
        self._canned_replies = canned_replies
        self._policy = policy
        self._clock = clock
        self._new_hex = new_hex

    async def __call__(self, message: CustomerMessage) -> AcceptedTurn:
        """Claim a turn and store the message, or find what its idempotency key brought before.

        A message that the guardrail blocks is answered at once with a safe sentence. While the
        guardrail cannot tell by the deadline, a completed turn is found by its key all the same.

        Raises ConversationNotFound, ConversationClosed, ConversationBusy, KeyReused,
        TurnInProgress, TurnFailed, MessageTooLong, GuardrailError, StorageUnavailable,
        VersionConflict; KeyTaken where what holds the key cannot be read; and CommitUnknown where
        the database told neither by the deadline.
        """
        seconds = self._seconds_for(message)
        deadline = self._clock() + timedelta(seconds=seconds)
        try:
            verdict = await self._verdict_on(message, seconds)
        except GuardrailError as error:
            async with storing_by(deadline, self._clock):
                return await self._completed_before(message, error)
        asked = _Asked(message=message, verdict=verdict, deadline=deadline)
        async with storing_by(deadline, self._clock):
            return await self._accept(asked)

    async def recover(self, tenant_id: TenantId, turn_id: TurnId) -> AcceptedTurn:
        """Claim a turn whose attempt has crashed, where no caller waits for it, or fail it.

        The attempt has all the time that a turn may take. Raises TurnInProgress, TurnNotFound,
        VersionConflict where somebody else was first, StorageUnavailable, CommitUnknown.
        """
        deadline = self._clock() + timedelta(seconds=self._policy.deadline_seconds)

        async def recovered(work: UnitOfWork) -> AcceptedTurn:
            conversation = await self._conversation_of_turn(work, turn_id)
            at = self._moment()
            turn = conversation.recover(turn_id, deadline=deadline, at=at)
            # The stored message has passed the guardrail.
            return self._accepted(conversation, turn, Allowed(), at)

        async with storing_by(deadline, self._clock):
            return await self._claimed(tenant_id, recovered, tries=1)

    async def _verdict_on(self, message: CustomerMessage, seconds: float) -> Verdict:
        passage = Passage(
            tenant_id=message.tenant_id, direction=Direction.INBOUND, text=message.text
        )
        async with Limit(seconds, _no_verdict):
            return await self._guardrail.screen(passage)

    async def _completed_before(
        self, message: CustomerMessage, unjudged: GuardrailError
    ) -> AcceptedTurn:
        """Find the completed turn of the message's key; raise `unjudged` where there is none."""
        if message.idempotency_key is None:
            raise unjudged
        async with self._units_of_work(message.tenant_id) as work:
            logged = await work.requests.find(_key_of(message, message.idempotency_key))
        if logged is None:
            raise unjudged
        require_same_request(logged, message.fingerprint)
        turn = await self._reader.get_turn(message.tenant_id, TurnId(logged.resource_id))
        if turn.status is not TurnStatus.COMPLETED:
            raise unjudged
        return AcceptedTurn(turn=turn, attempt=None, replayed=True)

    async def _accept(self, asked: _Asked) -> AcceptedTurn:
        message = asked.message
        try:
            return await self._claimed(message.tenant_id, lambda work: self._claim(work, asked))
        except (KeyTaken, ConversationBusy, ConversationClosed) as refused:
            if message.idempotency_key is None:
                raise
            # A key that was claimed before has the say, whatever the conversation says now.
            return await self._accept_again(asked, message.idempotency_key, refused)

    async def _claimed(
        self,
        tenant_id: TenantId,
        claim: Callable[[UnitOfWork], Awaitable[AcceptedTurn]],
        *,
        tries: int = TRIES,
    ) -> AcceptedTurn:
        """Commit a claim; where it is unknown whether it was, look whether the turn is there."""
        claims: list[AcceptedTurn] = []

        async def work_on(work: UnitOfWork) -> AcceptedTurn:
            claims.append(await claim(work))
            return claims[-1]

        try:
            return await committed(self._units_of_work, tenant_id, work_on, tries=tries)
        except CommitUnknown as error:
            claimed = claims[-1]
            with contextlib.suppress(TurnNotFound):
                turn = await self._reader.get_turn(tenant_id, claimed.turn.id)
                if _which(turn) == _which(claimed.turn):
                    return claimed
            raise StorageUnavailable("the message could not be stored") from error

    async def _claim(self, work: UnitOfWork, asked: _Asked) -> AcceptedTurn:
        message, verdict = asked.message, asked.verdict
        at = self._moment()
        conversation = await self._conversation_of(work, message, at)
        turn = conversation.claim(
            verdict.text if isinstance(verdict, Redacted) else message.text,
            metadata=message.metadata,
            deadline=asked.deadline,
            caller_waits=message.caller_waits,
            at=at,
        )
        if message.idempotency_key is not None:
            work.requests.add(
                LoggedRequest(
                    key=_key_of(message, message.idempotency_key),
                    fingerprint=message.fingerprint,
                    resource_id=turn.id,
                    created_at=at.now,
                )
            )
        return self._accepted(conversation, turn, verdict, at)

    def _accepted(
        self, conversation: Conversation, turn: Turn, verdict: Verdict, at: Moment
    ) -> AcceptedTurn:
        """Begin the attempt; where nothing may be said, it ends here, with the safe sentence."""
        if turn.status is not TurnStatus.RUNNING:
            replayed = not conversation.changes.events
            return AcceptedTurn(turn=turn, attempt=None, replayed=replayed)
        findings = findings_of(verdict, Direction.INBOUND)
        attempt = conversation.attempt_at(turn, findings=findings)
        if not isinstance(verdict, Blocked):
            return AcceptedTurn(turn=turn, attempt=attempt, replayed=False)
        refused = replace(attempt, reply=refusal(self._canned_replies.refused))
        turn = conversation.record(refused, at=at)
        return AcceptedTurn(turn=turn, attempt=None, replayed=False)

    async def _conversation_of(
        self, work: UnitOfWork, message: CustomerMessage, at: Moment
    ) -> Conversation:
        if message.conversation_id is not None:
            conversation = await work.conversations.get(
                message.conversation_id, history=self._policy.history_messages
            )
            conversation.header.require_reachable(message.asking_customer_id)
            work.conversations.save(conversation)
            return conversation
        conversation = Conversation.start(
            tenant_id=message.tenant_id,
            customer_id=message.customer_id,
            channel=message.channel,
            metadata=message.metadata,
            at=at,
        )
        work.conversations.add(conversation)
        return conversation

    async def _accept_again(self, asked: _Asked, key: str, refused: Exception) -> AcceptedTurn:
        accepted = await self._claimed(
            asked.message.tenant_id, lambda work: self._claim_again(work, asked, key, refused)
        )
        turn = accepted.turn
        if turn.status is TurnStatus.FAILED and turn.error is not None:
            raise TurnFailed(turn.id, turn.error.code)
        return accepted

    async def _claim_again(
        self, work: UnitOfWork, asked: _Asked, key: str, refused: Exception
    ) -> AcceptedTurn:
        message = asked.message
        logged = await work.requests.find(_key_of(message, key))
        if logged is None:
            raise refused
        require_same_request(logged, message.fingerprint)
        turn_id = TurnId(logged.resource_id)
        conversation = await self._conversation_of_turn(work, turn_id)
        at = self._moment()
        turn = conversation.run_again(
            turn_id, deadline=asked.deadline, caller_waits=message.caller_waits, at=at
        )
        return self._accepted(conversation, turn, asked.verdict, at)

    async def _conversation_of_turn(self, work: UnitOfWork, turn_id: TurnId) -> Conversation:
        conversation = await work.conversations.get_by_turn(
            turn_id, history=self._policy.history_messages
        )
        work.conversations.save(conversation)
        return conversation

    def _seconds_for(self, message: CustomerMessage) -> float:
        """Say how long its turn may take."""
        seconds = self._policy.deadline_seconds
        if message.caller_waits:
            wanted = LONGEST_WAIT_SECONDS if message.wait_seconds is None else message.wait_seconds
            seconds = min(seconds, wanted, LONGEST_WAIT_SECONDS)
        return seconds

    def _moment(self) -> Moment:
        return Moment(now=self._clock(), new_hex=self._new_hex)


def _no_verdict() -> GuardrailError:
    return GuardrailError("the guardrail gave no verdict by the deadline")


def _which(turn: Turn) -> tuple[object, ...]:
    """Tell an attempt from another's of the same number, which has begun at another instant."""
    return turn.attempt, turn.status, turn.deadline


def _key_of(message: CustomerMessage, key: str) -> RequestKey:
    return RequestKey(caller=message.caller, operation=OPERATION, key=key)
