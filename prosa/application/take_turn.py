"""Take a turn: a customer's message in, a reply out.

accept → classify → generate → record, or fail. Each step can be called on its own and in order, by
one process that threads the attempt through, or by tasks that keep it in an AttemptStore between.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from types import TracebackType

from prosa.application.accept_turn import AcceptTurn, CustomerMessage
from prosa.application.commit import committed, storing_by
from prosa.application.generation import Generation, OnPiece, ReplyBlockedError
from prosa.application.limit import Limit
from prosa.application.ports.conversation_reader import ConversationReader
from prosa.application.ports.guardrail import Guardrail, GuardrailError
from prosa.application.ports.intent_classifier import ClassificationRequest, IntentClassifier
from prosa.application.ports.language_model import (
    CallBudget,
    CircuitOpen,
    ContentFiltered,
    ContextTooLong,
    LanguageModel,
    LanguageModelError,
    ModelRejectedRequest,
    ModelRequest,
    ModelTimedOut,
)
from prosa.application.ports.prompt_catalog import PromptCatalog
from prosa.application.ports.turn_runner import TurnNotStarted
from prosa.application.ports.unit_of_work import (
    CommitUnknown,
    StorageUnavailable,
    UnitOfWork,
    UnitOfWorkFactory,
    VersionConflict,
)
from prosa.application.turn_policy import TurnPolicy
from prosa.domain.context_window import ContextWindow, estimate_tokens
from prosa.domain.conversation import Conversation
from prosa.domain.errors import DeadlineExceeded, PortFailure, StaleAttempt, TurnFailed
from prosa.domain.identifiers import Clock, NewHex
from prosa.domain.moment import Moment
from prosa.domain.prompt import PromptTemplate
from prosa.domain.reply import CannedReplies
from prosa.domain.turn import Attempt, Turn, TurnOutcome, TurnStatus

CALLS_TO_CLASSIFY = 1
PROMPT_VARIABLES = frozenset({"intent", "today"})
"""What a prompt of this use case may ask for: the intent's name, and the date (ISO 8601)."""

SECONDS_TO_GIVE_UP = 2.0
"""How long a run that was cancelled may take to say so in the database."""


class TakeTurn:
    """Takes turns: at most one reply for one idempotency key."""

    def __init__(
        self,
        *,
        accept: AcceptTurn,
        units_of_work: UnitOfWorkFactory,
        reader: ConversationReader,
        guardrail: Guardrail,
        intent_classifier: IntentClassifier,
        prompts: PromptCatalog,
        model: LanguageModel,
        canned_replies: CannedReplies,
        policy: TurnPolicy,
        clock: Clock,
        new_hex: NewHex,
    ) -> None:
        self.accept = accept
        self._units_of_work = units_of_work
        self._reader = reader
        self._guardrail = guardrail
        self._intent_classifier = intent_classifier
        self._prompts = prompts
        self._model = model
        self._canned_replies = canned_replies
        self._policy = policy
        self._clock = clock
        self._new_hex = new_hex

    async def __call__(
        self, message: CustomerMessage, on_piece: OnPiece | None = None
    ) -> TurnOutcome:
        """Take a turn from the message to the recorded reply.

        Raises what `accept` and `run` raise.
        """
        accepted = await self.accept(message)
        if accepted.attempt is None:
            return TurnOutcome(turn=accepted.turn, replayed=accepted.replayed)
        turn = await self.run(accepted.attempt, on_piece)
        return TurnOutcome(turn=turn, replayed=False)

    async def run(self, attempt: Attempt, on_piece: OnPiece | None = None) -> Turn:
        """Classify, generate and record; where that is not to be, fail the turn and raise why.

        A run that is cancelled fails its turn, too. Raises DeadlineExceeded, a LanguageModelError,
        GuardrailError, PromptNotFound, StaleAttempt, StorageUnavailable, CommitUnknown.
        """
        generation = self.generation(attempt, on_piece)
        try:
            async with self.time_for_models(attempt):
                attempt = await self.classify(attempt)
                generation = self.generation(attempt, on_piece)
                attempt = await self.generate_by(attempt, generation)
            return await self.record(attempt)
        except asyncio.CancelledError as error:
            await self._give_up(generation.broken_off(attempt), error)
            raise
        except Exception as error:
            turn = await self._fail_quietly(generation.broken_off(attempt), error)
            if turn is not None and turn.error is not None and not turn.error.retryable:
                raise TurnFailed(turn.id, turn.error.code) from error
            raise

    async def classify(self, attempt: Attempt) -> Attempt:
        """Find out what the customer wants. Never fails for a classifier's sake."""
        if attempt.intent is not None:
            return attempt
        budget = CallBudget(CALLS_TO_CLASSIFY)
        classification = await self._intent_classifier.classify(
            ClassificationRequest(
                tenant_id=attempt.tenant_id,
                history=attempt.history,
                deadline=attempt.models_deadline,
                budget=budget,
            )
        )
        return replace(
            attempt,
            intent=classification.intent,
            calls=attempt.calls + classification.calls,
            calls_made=attempt.calls_made + CALLS_TO_CLASSIFY - budget.remaining,
        )

    async def generate(self, attempt: Attempt, on_piece: OnPiece | None = None) -> Attempt:
        """Have the model answer, and screen its answer piece by piece.

        Raises a LanguageModelError other than ContentFiltered, GuardrailError, PromptNotFound.
        """
        return await self.generate_by(attempt, self.generation(attempt, on_piece))

    async def generate_by(self, attempt: Attempt, generation: Generation) -> Attempt:
        """Generate, as `generate`; the generation knows what was spent wherever it breaks off."""
        if attempt.reply is not None:
            return attempt
        template = await self._prompts.get(attempt.tenant_id, self._policy.prompt)
        request = self._request(attempt, template, generation.budget)
        try:
            reply = await generation.screened_reply(self._model, request)
        except (ContentFiltered, ReplyBlockedError):
            reply = await generation.refuse(self._canned_replies.refused)
        return generation.found(attempt, prompt=template.reference, reply=reply)

    def generation(self, attempt: Attempt, on_piece: OnPiece | None = None) -> Generation:
        """Prepare to generate."""
        return Generation(attempt, self._guardrail, on_piece)

    async def record(self, attempt: Attempt) -> Turn:
        """Store the reply and complete the turn; a repeated record finds what it recorded.

        Raises StaleAttempt, TurnWithoutReply, StorageUnavailable, and CommitUnknown where it could
        not be learnt by the deadline whether it was stored.
        """
        at = self._moment()
        return await self._end(
            attempt, lambda conversation: conversation.record(attempt, at=at), TurnStatus.COMPLETED
        )

    async def fail(self, attempt: Attempt, error: BaseException) -> Turn:
        """End the turn in failure, so that its conversation is free at once.

        A repeated fail finds what it failed. Raises what `record` raises, but TurnWithoutReply.
        """
        return await self.fail_of(attempt, type(error))

    async def fail_of(self, attempt: Attempt, kind: type[BaseException]) -> Turn:
        """End the turn in failure, as `fail`, where only the error's class has come here."""
        failure = _failure_of(kind)
        at = self._moment()
        return await self._end(
            attempt,
            lambda conversation: conversation.fail(
                attempt,
                code=failure.code,
                retryable=failure.retryable,
                counts=failure.counts,
                at=at,
            ),
            TurnStatus.FAILED,
        )

    async def _end(
        self, attempt: Attempt, end: Callable[[Conversation], Turn], ended: TurnStatus
    ) -> Turn:
        """End the attempt's turn; where it is not known to have been, look whether it is ended."""
        async with storing_by(attempt.deadline, self._clock):
            try:
                return await self._save_end(attempt, end)
            except (StaleAttempt, CommitUnknown):
                turn = await self._reader.get_turn(attempt.tenant_id, attempt.turn_id)
                if turn.status is ended and turn.attempt == attempt.number:
                    return turn
                raise

    async def _save_end(self, attempt: Attempt, end: Callable[[Conversation], Turn]) -> Turn:
        """End the attempt's turn by one save, as if nothing had happened since it began.

        Where something has, the version says so, and the conversation is looked at as it is now.
        """

        async def resumed(work: UnitOfWork) -> Turn:
            return _ended(work, Conversation.resume(attempt), end)

        async def reloaded(work: UnitOfWork) -> Turn:
            conversation = await work.conversations.get(attempt.conversation_id)
            return _ended(work, conversation, end)

        try:
            return await committed(self._units_of_work, attempt.tenant_id, resumed, tries=1)
        except VersionConflict:
            return await committed(self._units_of_work, attempt.tenant_id, reloaded)

    async def _fail_quietly(self, attempt: Attempt, error: BaseException) -> Turn | None:
        """Fail the turn; where even that fails, its lease will free the conversation."""
        with contextlib.suppress(PortFailure, StaleAttempt):
            return await self.fail(attempt, error)
        return None

    async def _give_up(self, attempt: Attempt, error: asyncio.CancelledError) -> None:
        """Fail the turn of a cancelled run.

        In a task of its own, for which this one waits whatever happens: what is awaited by a task
        that is being cancelled may be cancelled again.
        """

        async def fail_soon() -> None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SECONDS_TO_GIVE_UP):
                    await self._fail_quietly(attempt, error)

        failing = asyncio.ensure_future(fail_soon())
        while not failing.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.wait([failing])

    def _request(
        self, attempt: Attempt, template: PromptTemplate, budget: CallBudget
    ) -> ModelRequest:
        instructions = template.render(
            {
                "today": self._clock().astimezone(self._policy.time_zone).date().isoformat(),
                "intent": attempt.intent.name if attempt.intent else "",
            }
        )
        policy = self._policy
        spoken_for = policy.max_output_tokens + estimate_tokens(instructions)
        window = ContextWindow.fit(
            attempt.history,
            tokens=self._model.context_tokens - spoken_for,
            messages=policy.history_messages,
            alternating=self._model.needs_alternating_roles,
        )
        return ModelRequest(
            tenant_id=attempt.tenant_id,
            turn_id=attempt.turn_id,
            instructions=instructions,
            utterances=window.utterances,
            deadline=attempt.models_deadline,
            max_output_tokens=policy.max_output_tokens,
            temperature=policy.temperature,
            budget=budget,
        )

    def time_for_models(self, attempt: Attempt) -> Limit:
        """Bound classifying and generating, whatever they wait for. Raises DeadlineExceeded."""
        remaining = (attempt.models_deadline - self._clock()).total_seconds()
        return _TimeForModels(remaining, partial(DeadlineExceeded, attempt.turn_id))

    def _moment(self) -> Moment:
        return Moment(now=self._clock(), new_hex=self._new_hex)


class _TimeForModels(Limit):
    """A limit that models know of, too: it is the same to be told by them."""

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await super().__aexit__(exc_type, exc, traceback)
        if isinstance(exc, ModelTimedOut):
            raise self._late() from exc


def _ended(
    work: UnitOfWork, conversation: Conversation, end: Callable[[Conversation], Turn]
) -> Turn:
    turn = end(conversation)
    work.conversations.save(conversation)
    return turn


@dataclass(frozen=True, slots=True)
class _Failure:
    """What a turn fails of, by the code that clients see."""

    kind: type[BaseException]
    code: str
    retryable: bool = True
    """Whether the same key may run it again."""
    counts: bool = True
    """Whether it counts towards the limit: what was not tried at all does not."""


_FAILURES = (
    _Failure(DeadlineExceeded, "deadline_exceeded"),
    _Failure(ContextTooLong, "context_too_long", retryable=False),
    _Failure(ModelRejectedRequest, "model_rejected", retryable=False),
    _Failure(CircuitOpen, "model_unavailable", counts=False),
    _Failure(LanguageModelError, "model_unavailable"),
    _Failure(GuardrailError, "guardrail_unavailable"),
    _Failure(StorageUnavailable, "storage_unavailable"),
    _Failure(CommitUnknown, "storage_unavailable"),
    _Failure(VersionConflict, "storage_unavailable"),
    _Failure(TurnNotStarted, "turn_not_started", counts=False),
    _Failure(asyncio.CancelledError, "interrupted"),
    _Failure(BaseException, "internal_error"),
)
"""The first line that fits counts."""


def _failure_of(kind: type[BaseException]) -> _Failure:
    return next(failure for failure in _FAILURES if issubclass(kind, failure.kind))
