"""The conversation: its rules, its running turn, and the events that it records.

The aggregate is the consistency boundary and the one mutable object of the domain. It is loaded as
a header and a window of its history, never whole, and it gathers what a save has to write.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Self, TypedDict

from prosa.domain import events as happened
from prosa.domain.content import Part, Text
from prosa.domain.conversation_header import ConversationHeader, ConversationStatus, Owner
from prosa.domain.errors import (
    ConversationBusy,
    ConversationClosed,
    MessageTooLong,
    StaleAttempt,
    TurnFailed,
    TurnInProgress,
    TurnNotFound,
    TurnWithoutReply,
)
from prosa.domain.identifiers import (
    ConversationId,
    EventId,
    MessageId,
    TenantId,
    TurnId,
)
from prosa.domain.intent import Intent
from prosa.domain.message import MAX_MESSAGE_CHARACTERS, Message, Role
from prosa.domain.moment import Moment
from prosa.domain.reply import Provenance, Reply
from prosa.domain.turn import (
    LEASE_AFTER_DEADLINE,
    MAX_FAILURES,
    Attempt,
    Turn,
    TurnError,
    TurnStatus,
)
from prosa.domain.verdict import Finding

LEASE_RAN_OUT = "lease_ran_out"
"""The error code of a turn whose attempt crashed: another request found it, or recovery did."""

ASK_AGAIN_SECONDS = 2.0
"""How soon to ask again for something that usually ends well before its lease does."""


@dataclass(slots=True, kw_only=True)
class Changes:
    """What came of a conversation since it was loaded: all that a save has to write."""

    messages: list[Message] = field(default_factory=list)
    turns: dict[TurnId, Turn] = field(default_factory=dict)
    attempts: list[Attempt] = field(default_factory=list)
    events: list[happened.Event] = field(default_factory=list)


class Conversation:
    """A conversation between a customer and the assistant, or the human who took over.

    Messages are in one total order without gaps; at most one turn runs at a time.
    """

    def __init__(
        self,
        header: ConversationHeader,
        turns: Iterable[Turn],
        history: Iterable[Message],
    ) -> None:
        """Use `start` for a new conversation and `restore` for a stored one."""
        self.header = header
        self.history = tuple(history)
        """The newest messages, oldest first, as many as were loaded or have been added."""
        self.changes = Changes()
        self._turns = {turn.id: turn for turn in turns}

    @classmethod
    def start(
        cls,
        *,
        tenant_id: TenantId,
        customer_id: str | None,
        channel: str | None,
        metadata: Mapping[str, str],
        at: Moment,
    ) -> Self:
        """Begin a conversation, and record that it began."""
        header = ConversationHeader(
            id=ConversationId(f"conv_{at.new_hex()}"),
            tenant_id=tenant_id,
            status=ConversationStatus.OPEN,
            owner=Owner.ASSISTANT,
            customer_id=customer_id,
            channel=channel,
            metadata=metadata,
            created_at=at.now,
            updated_at=at.now,
        )
        conversation = cls(header, turns=(), history=())
        conversation._happened(
            happened.ConversationStarted(
                **conversation._event_facts(at),
                customer_id=customer_id,
                channel=channel,
            )
        )
        return conversation

    @classmethod
    def restore(
        cls,
        header: ConversationHeader,
        *,
        turns: Iterable[Turn],
        history: Iterable[Message],
    ) -> Self:
        """Take up a stored conversation; nothing is recorded.

        `turns` holds the running turn, if one runs, and any other turn that the caller asks about.
        """
        return cls(header, turns, history)

    @classmethod
    def resume(cls, attempt: Attempt) -> Self:
        """Take up a conversation as it was when an attempt began.

        That is as good as loading it: should it have changed since, its version has too, and
        saving it is a VersionConflict.
        """
        return cls(attempt.header, turns=[attempt.turn], history=())

    def claim(
        self,
        text: str,
        *,
        metadata: Mapping[str, str],
        deadline: datetime,
        caller_waits: bool,
        at: Moment,
    ) -> Turn:
        """Store the customer's message and begin a turn for it.

        While a human owns the conversation the turn is complete at once, with no reply. A running
        turn whose lease has run out has crashed: it is failed, and this one goes on.

        Raises ConversationClosed, ConversationBusy, MessageTooLong.
        """
        if len(text) > MAX_MESSAGE_CHARACTERS:
            raise MessageTooLong(len(text), MAX_MESSAGE_CHARACTERS)
        self._require_open()
        self._require_no_other_turn(None, at)
        turn_id = TurnId(f"turn_{at.new_hex()}")
        message = self._say(turn_id, Role.USER, (Text(text=text),), at, metadata=metadata)
        turn = Turn(
            id=turn_id,
            conversation_id=self.header.id,
            status=TurnStatus.RUNNING,
            attempt=1,
            failures=0,
            deadline=deadline,
            lease_until=deadline + LEASE_AFTER_DEADLINE,
            caller_waits=caller_waits,
            message=message,
            created_at=at.now,
        )
        return self._begin(turn, at)

    def run_again(
        self,
        turn_id: TurnId,
        *,
        deadline: datetime,
        caller_waits: bool,
        at: Moment,
    ) -> Turn:
        """Begin the next attempt at a turn that failed or whose lease has run out.

        The stored message is used again. A completed turn is returned as it is.

        Raises TurnInProgress while its attempt may still be at work, TurnFailed where it failed for
        good, ConversationClosed, ConversationBusy, TurnNotFound.
        """
        turn = self._turn(turn_id)
        if turn.status is TurnStatus.COMPLETED:
            return turn
        failures = turn.failures
        if turn.status is TurnStatus.RUNNING:
            if not turn.lease_has_run_out(at.now):
                raise TurnInProgress(turn.id, _ask_again(at.now, turn.lease_until))
            failures += 1
        elif turn.error is not None and not turn.error.retryable:
            raise TurnFailed(turn.id, turn.error.code)
        if failures >= MAX_FAILURES:
            return self._fail_crashed(turn, at)
        self._require_open()
        self._require_no_other_turn(turn.id, at)
        again = replace(
            turn,
            status=TurnStatus.RUNNING,
            attempt=turn.attempt + 1,
            failures=failures,
            deadline=deadline,
            lease_until=deadline + LEASE_AFTER_DEADLINE,
            caller_waits=caller_waits,
            error=None,
            completed_at=None,
        )
        return self._begin(again, at)

    def recover(self, turn_id: TurnId, *, deadline: datetime, at: Moment) -> Turn:
        """See to a turn whose attempt has crashed: run it again where no caller waits, or fail it.

        A turn that has ended is returned as it is. Raises TurnInProgress while its attempt may
        still be at work, TurnNotFound.
        """
        turn = self._turn(turn_id)
        if turn.status is not TurnStatus.RUNNING:
            return turn
        if not turn.lease_has_run_out(at.now):
            raise TurnInProgress(turn.id, _ask_again(at.now, turn.lease_until))
        if turn.caller_waits:
            return self._fail_crashed(turn, at)
        return self.run_again(turn_id, deadline=deadline, caller_waits=False, at=at)

    def attempt_at(self, turn: Turn, *, findings: tuple[Finding, ...] = ()) -> Attempt:
        """Begin what the newest attempt at a turn finds out; the turn's message stands last.

        The attempt takes the conversation along as it will be once this is saved, and what was
        found in the message.
        """
        saves = 1 if self.changes.events else 0
        earlier = [message for message in self.history if message.id != turn.message.id]
        return Attempt(
            header=replace(self.header, version=self.header.version + saves),
            turn=turn,
            history=(*earlier, turn.message),
            findings=findings,
        )

    def record(self, attempt: Attempt, *, at: Moment) -> Turn:
        """Store the attempt's reply and complete its turn.

        Raises StaleAttempt where the attempt does not own the turn any more, TurnWithoutReply.
        """
        turn = self._owned_by(attempt)
        if attempt.reply is None:
            raise TurnWithoutReply(turn.id)
        provenance = _provenance(attempt, attempt.reply)
        reply = self._say(turn.id, Role.ASSISTANT, attempt.reply.parts, at, provenance=provenance)
        # The message keeps the reply: what was said is stored once.
        self.changes.attempts.append(replace(attempt, reply=None))
        return self._complete(turn, at, intent=attempt.intent, reply=reply)

    def fail(
        self,
        attempt: Attempt,
        *,
        code: str,
        retryable: bool,
        at: Moment,
        counts: bool = True,
    ) -> Turn:
        """End the attempt's turn in failure; its conversation is free at once.

        At the limit of failures it has failed for good; a failure that was none of the turn's own
        need not count. Raises StaleAttempt where the attempt does not own the turn any more.
        """
        turn = self._owned_by(attempt)
        self.changes.attempts.append(attempt)
        return self._end_in_failure(turn, code, at, retryable=retryable, counts=counts)

    def close(self, *, at: Moment) -> None:
        """Take no more messages. A closed conversation stays as it is.

        Raises ConversationBusy while a turn runs.
        """
        if self.header.status is ConversationStatus.CLOSED:
            return
        self._require_no_other_turn(None, at)
        self._happened(
            happened.ConversationClosed(
                **self._event_facts(at), message_count=self.header.message_count
            ),
            status=ConversationStatus.CLOSED,
        )

    def _require_open(self) -> None:
        if self.header.status is ConversationStatus.CLOSED:
            raise ConversationClosed(self.header.id)

    def _require_no_other_turn(self, mine: TurnId | None, at: Moment) -> None:
        """Fail the running turn where it has crashed; raise ConversationBusy where it has not."""
        running_id = self.header.running_turn_id
        if running_id is None or running_id == mine:
            return
        running = self._turn(running_id)
        if not running.lease_has_run_out(at.now):
            raise ConversationBusy(self.header.id, _ask_again(at.now, running.lease_until))
        self._fail_crashed(running, at)

    def _fail_crashed(self, turn: Turn, at: Moment) -> Turn:
        """Fail a turn whose lease has run out."""
        return self._end_in_failure(turn, LEASE_RAN_OUT, at, retryable=True, counts=True)

    def _turn(self, turn_id: TurnId) -> Turn:
        turn = self._turns.get(turn_id)
        if turn is None:
            raise TurnNotFound(turn_id)
        return turn

    def _owned_by(self, attempt: Attempt) -> Turn:
        """Apply the fence: only the newest attempt of a running turn may end it."""
        turn = self._turns.get(attempt.turn_id)
        if turn is None or turn.status is not TurnStatus.RUNNING or turn.attempt != attempt.number:
            raise StaleAttempt(attempt.turn_id, attempt.number)
        return turn

    def _begin(self, turn: Turn, at: Moment) -> Turn:
        if self.header.owner is Owner.HUMAN:
            return self._complete(turn, at)
        self._keep(turn)
        self._happened(
            happened.TurnStarted(
                **self._event_facts(at),
                turn_id=turn.id,
                message_id=turn.message.id,
                attempt=turn.attempt,
            ),
            running_turn_id=turn.id,
        )
        return turn

    def _complete(
        self,
        turn: Turn,
        at: Moment,
        *,
        intent: Intent | None = None,
        reply: Message | None = None,
    ) -> Turn:
        completed = replace(
            turn, status=TurnStatus.COMPLETED, intent=intent, reply=reply, completed_at=at.now
        )
        self._keep(completed)
        self._happened(
            happened.TurnCompleted(
                **self._event_facts(at),
                turn_id=turn.id,
                message_id=turn.message.id,
                attempt=turn.attempt,
                intent=intent,
                reply_id=reply.id if reply else None,
                provenance=reply.provenance if reply else None,
            )
        )
        return completed

    def _end_in_failure(
        self, turn: Turn, code: str, at: Moment, *, retryable: bool, counts: bool
    ) -> Turn:
        failures = turn.failures + counts
        error = TurnError(code=code, retryable=retryable and failures < MAX_FAILURES)
        failed = replace(
            turn, status=TurnStatus.FAILED, failures=failures, error=error, completed_at=at.now
        )
        self._keep(failed)
        self._happened(
            happened.TurnFailed(
                **self._event_facts(at),
                turn_id=turn.id,
                message_id=turn.message.id,
                attempt=turn.attempt,
                error=error,
            )
        )
        return failed

    def _keep(self, turn: Turn) -> None:
        self._turns[turn.id] = turn
        self.changes.turns[turn.id] = turn

    def _say(
        self,
        turn_id: TurnId,
        role: Role,
        parts: tuple[Part, ...],
        at: Moment,
        *,
        provenance: Provenance | None = None,
        metadata: Mapping[str, str] | None = None,
    ) -> Message:
        """Give the next message its place in the total order; the event to come counts it."""
        message = Message(
            id=MessageId(f"msg_{at.new_hex()}"),
            conversation_id=self.header.id,
            turn_id=turn_id,
            sequence=self.header.message_count + 1,
            role=role,
            parts=parts,
            created_at=at.now,
            provenance=provenance,
            metadata=metadata or {},
        )
        self.history = (*self.history, message)
        self.changes.messages.append(message)
        return message

    def _event_facts(self, at: Moment) -> "_EventFacts":
        return {
            "id": EventId(f"evt_{at.new_hex()}"),
            "tenant_id": self.header.tenant_id,
            "conversation_id": self.header.id,
            "sequence": self.header.event_count + 1,
            "occurred_at": at.now,
        }

    def _happened(
        self,
        event: happened.Event,
        *,
        running_turn_id: TurnId | None = None,
        status: ConversationStatus | None = None,
    ) -> None:
        """Record the event, and all that it changes of the header: each change comes by one."""
        said = self.changes.messages
        self.header = replace(
            self.header,
            status=status or self.header.status,
            running_turn_id=running_turn_id,
            message_count=said[-1].sequence if said else self.header.message_count,
            event_count=event.sequence,
            updated_at=event.occurred_at,
        )
        self.changes.events.append(event)


class _EventFacts(TypedDict):
    id: EventId
    tenant_id: TenantId
    conversation_id: ConversationId
    sequence: int
    occurred_at: datetime


def _provenance(attempt: Attempt, reply: Reply) -> Provenance:
    return Provenance(
        finish_reason=reply.finish_reason,
        provider=reply.provider,
        model=reply.model,
        degraded=reply.degraded,
        usage=reply.usage,
        prompt=attempt.prompt,
    )


def _ask_again(now: datetime, lease_until: datetime) -> float:
    """Seconds to wait: never past the end of the lease, never under one."""
    return max(1.0, min(ASK_AGAIN_SECONDS, (lease_until - now).total_seconds()))
