"""Accept a customer's message: claim a turn for it, or find what its key brought before.

It runs at the door, so that whoever asks is told at once what cannot be.
"""

import contextlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta

from prosa.application.commit import committed
from prosa.application.idempotency import fingerprint, require_same_request
from prosa.application.ports.conversation_reader import ConversationReader
from prosa.application.ports.guardrail import Guardrail, Passage
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
from prosa.domain.identifiers import DEFAULT_TENANT, Clock, ConversationId, NewHex, TenantId, TurnId
from prosa.domain.moment import Moment
from prosa.domain.reply import CannedReplies, refusal
from prosa.domain.turn import Attempt, Turn, TurnStatus
from prosa.domain.verdict import Blocked, Direction, Redacted, Verdict, findings_of

OPERATION = "take_turn"


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerMessage:
    """A customer's message. Where it names no conversation, it starts one.

    `customer_id` and `channel` are for the conversation that is started. `wait_seconds` shortens
    the deadline; `caller_waits` is false where nobody waits for the answer.
    """

    text: str
    tenant_id: TenantId = DEFAULT_TENANT
    conversation_id: ConversationId | None = None
    customer_id: str | None = None
    channel: str | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)
    caller: str = ""
    idempotency_key: str | None = None
    wait_seconds: float | None = None
    caller_waits: bool = True

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

        A message that the guardrail blocks is answered at once with a safe sentence. Raises
        ConversationNotFound, ConversationClosed, ConversationBusy, KeyReused, TurnInProgress,
        TurnFailed, MessageTooLong, GuardrailError, StorageUnavailable.
        """
        verdict = await self._guardrail.screen(
            Passage(tenant_id=message.tenant_id, direction=Direction.INBOUND, text=message.text)
        )
        try:
            return await self._claimed(message, lambda work: self._claim(work, message, verdict))
        except (KeyTaken, ConversationBusy, ConversationClosed) as refused:
            if message.idempotency_key is None:
                raise
            # A key that was claimed before has the say, whatever the conversation says now.
            return await self._accept_again(message, message.idempotency_key, verdict, refused)

    async def _claimed(
        self, message: CustomerMessage, claim: Callable[[UnitOfWork], Awaitable[AcceptedTurn]]
    ) -> AcceptedTurn:
        """Commit a claim; where it is unknown whether it was, look whether the turn is there."""
        claims: list[AcceptedTurn] = []

        async def work_on(work: UnitOfWork) -> AcceptedTurn:
            claims.append(await claim(work))
            return claims[-1]

        try:
            return await committed(self._units_of_work, message.tenant_id, work_on)
        except CommitUnknown as error:
            claimed = claims[-1]
            with contextlib.suppress(TurnNotFound):
                turn = await self._reader.get_turn(message.tenant_id, claimed.turn.id)
                if turn.attempt == claimed.turn.attempt:
                    return claimed
            raise StorageUnavailable("the message could not be stored") from error

    async def _claim(
        self, work: UnitOfWork, message: CustomerMessage, verdict: Verdict
    ) -> AcceptedTurn:
        at = self._moment()
        conversation = await self._conversation_of(work, message, at)
        turn = conversation.claim(
            verdict.text if isinstance(verdict, Redacted) else message.text,
            metadata=message.metadata,
            deadline=at.now + self._time_for(message),
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
        attempt = replace(conversation.attempt_at(turn), findings=findings)
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

    async def _accept_again(
        self, message: CustomerMessage, key: str, verdict: Verdict, refused: Exception
    ) -> AcceptedTurn:
        accepted = await self._claimed(
            message, lambda work: self._claim_again(work, message, key, verdict, refused)
        )
        turn = accepted.turn
        if turn.status is TurnStatus.FAILED and turn.error is not None:
            raise TurnFailed(turn.id, turn.error.code)
        return accepted

    async def _claim_again(
        self,
        work: UnitOfWork,
        message: CustomerMessage,
        key: str,
        verdict: Verdict,
        refused: Exception,
    ) -> AcceptedTurn:
        logged = await work.requests.find(_key_of(message, key))
        if logged is None:
            raise refused
        require_same_request(logged, message.fingerprint)
        turn_id = TurnId(logged.resource_id)
        conversation = await work.conversations.get_by_turn(
            turn_id, history=self._policy.history_messages
        )
        at = self._moment()
        turn = conversation.run_again(
            turn_id,
            deadline=at.now + self._time_for(message),
            caller_waits=message.caller_waits,
            at=at,
        )
        work.conversations.save(conversation)
        return self._accepted(conversation, turn, verdict, at)

    def _time_for(self, message: CustomerMessage) -> timedelta:
        longest = self._policy.deadline_seconds
        wanted = longest if message.wait_seconds is None else message.wait_seconds
        return timedelta(seconds=min(wanted, longest))

    def _moment(self) -> Moment:
        return Moment(now=self._clock(), new_hex=self._new_hex)


def _key_of(message: CustomerMessage, key: str) -> RequestKey:
    return RequestKey(caller=message.caller, operation=OPERATION, key=key)
