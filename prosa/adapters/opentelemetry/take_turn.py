"""Turns, seen: each step has a span, and what came of the turn is counted."""

import time
from collections.abc import Coroutine
from typing import Any, Final

from opentelemetry.trace import Span
from opentelemetry.util.types import AttributeValue

from prosa.adapters.log_context import TURN_ID
from prosa.adapters.opentelemetry import gen_ai_names as gen_ai
from prosa.adapters.opentelemetry import names
from prosa.adapters.opentelemetry.metrics import Metrics
from prosa.adapters.opentelemetry.spans import ATTEMPT, Tracing, is_unkept
from prosa.application.accept_turn import AcceptedTurn, AcceptTurn, CustomerMessage
from prosa.application.generation import Generation, OnPiece
from prosa.application.recover_turns import Count, Recovered, RecoverTurns, uncounted
from prosa.application.take_turn import TakeTurn
from prosa.domain.errors import PortFailure
from prosa.domain.identifiers import TenantId, TurnId
from prosa.domain.reply import FinishReason, Provenance
from prosa.domain.turn import Attempt, Turn, TurnOutcome, TurnStatus

DEGRADED: Final = "degraded"
"""A canned sentence answered, since no model did."""
REFUSED: Final = "refused"
"""A guardrail or a content filter let a safe sentence answer."""
UNANSWERED: Final = "unanswered"
"""A human has the conversation."""
FAILED: Final = "failed"

UNSTORED: Final = "storage_unavailable"
"""The code of a turn of which not even its failure could be stored."""


class TracedTakeTurn(TakeTurn):
    """Takes turns; see TakeTurn."""

    def __init__(self, tracing: Tracing, metrics: Metrics, **parts: Any) -> None:  # noqa: ANN401 - TakeTurn's own
        super().__init__(**parts)
        self._tracing = tracing
        self._metrics = metrics

    async def __call__(
        self, message: CustomerMessage, on_piece: OnPiece | None = None
    ) -> TurnOutcome:
        """Take a turn from the message to the recorded reply."""
        with self._tracing.begin(names.TAKE_TURN):
            return await super().__call__(message, on_piece)

    async def run(self, attempt: Attempt, on_piece: OnPiece | None = None) -> Turn:
        """Classify, generate and record, or fail."""
        watch = _Watch(on_piece)
        logged = TURN_ID.set(attempt.turn_id)
        outcome = FAILED
        try:
            with self._tracing.begin(names.RUN) as span:
                if span.is_recording():
                    _describe_attempt(span, attempt)
                turn = await super().run(attempt, watch.say if on_piece else None)
                outcome = outcome_of(turn)
                span.set_attribute(names.TURN_OUTCOME, outcome)
                return turn
        finally:
            TURN_ID.reset(logged)
            self._metrics.turn_took(watch.seconds(), outcome)
            if watch.first_after is not None:
                self._metrics.first_text(watch.first_after)

    def classify(self, attempt: Attempt) -> Coroutine[Any, Any, Attempt]:
        """Find out what the customer wants."""
        return super().classify(attempt) if is_unkept() else self._classify_seen(attempt)

    async def _classify_seen(self, attempt: Attempt) -> Attempt:
        with self._tracing.begin(names.CLASSIFY) as span:
            classified = await super().classify(attempt)
            if span.is_recording():
                _describe_intent(span, attempt, classified)
            return classified

    def generate_by(self, attempt: Attempt, generation: Generation) -> Coroutine[Any, Any, Attempt]:
        """Generate."""
        if is_unkept():
            return super().generate_by(attempt, generation)
        return self._generate_seen(attempt, generation)

    async def _generate_seen(self, attempt: Attempt, generation: Generation) -> Attempt:
        with self._tracing.begin(names.GENERATE) as span:
            generated = await super().generate_by(attempt, generation)
            if span.is_recording():
                _describe_generated(span, attempt, generated)
            return generated

    async def record(self, attempt: Attempt) -> Turn:
        """Store the reply and complete the turn."""
        with self._tracing.begin(names.RECORD) as span:
            turn = await super().record(attempt)
            outcome = outcome_of(turn)
            span.set_attribute(names.TURN_OUTCOME, outcome)
        self._metrics.turn(outcome)
        return turn

    async def fail_of(self, attempt: Attempt, kind: type[BaseException]) -> Turn:
        """End the turn in failure."""
        with self._tracing.begin(names.FAIL) as span:
            try:
                turn = await super().fail_of(attempt, kind)
            except PortFailure:
                self._metrics.turn(FAILED, UNSTORED)
                raise
            code = turn.error.code if turn.error else kind.__name__
            span.set_attribute(names.ERROR_TYPE, code)
        self._metrics.turn(FAILED, code)
        return turn


class TracedAcceptTurn(AcceptTurn):
    """Claims turns; see AcceptTurn."""

    def __init__(self, tracing: Tracing, metrics: Metrics, **parts: Any) -> None:  # noqa: ANN401 - AcceptTurn's own
        super().__init__(**parts)
        self._tracing = tracing
        self._metrics = metrics

    async def __call__(self, message: CustomerMessage) -> AcceptedTurn:
        """Claim a turn and store the message, or find what its key brought before."""
        with self._tracing.begin(names.ACCEPT) as span:
            accepted = await super().__call__(message)
            if span.is_recording():
                _describe_accepted(span, message.tenant_id, accepted)
        self._count_ended(accepted)
        return accepted

    async def recover(self, tenant_id: TenantId, turn_id: TurnId) -> AcceptedTurn:
        """Claim a turn whose attempt has crashed, or fail it."""
        with self._tracing.begin(names.RECOVER) as span:
            accepted = await super().recover(tenant_id, turn_id)
            if span.is_recording():
                _describe_accepted(span, tenant_id, accepted)
        self._count_ended(accepted)
        return accepted

    def _count_ended(self, accepted: AcceptedTurn) -> None:
        """Count a turn that ended at the door."""
        turn = accepted.turn
        if accepted.attempt is None and not accepted.replayed:
            self._metrics.turn(outcome_of(turn), turn.error.code if turn.error else "")


class CountedRecoverTurns(RecoverTurns):
    """Sees to crashed turns; see RecoverTurns."""

    def __init__(self, metrics: Metrics, **parts: Any) -> None:  # noqa: ANN401 - RecoverTurns' own
        super().__init__(**parts)
        self._metrics = metrics
        # From zero on, so that the first one is seen as a rise.
        metrics.recovered(run_again=0, failed=0)

    async def __call__(self, count: Count = uncounted) -> Recovered:
        """Look once for turns whose lease has run out, and see to them."""

        def counted(recovered: Recovered) -> None:
            self._metrics.recovered(run_again=recovered.run_again, failed=recovered.failed)
            count(recovered)

        return await super().__call__(counted)


def outcome_of(turn: Turn) -> str:
    """Say in a word what came of a turn that has ended."""
    if turn.status is TurnStatus.FAILED:
        return FAILED
    if turn.reply is None:
        return UNANSWERED
    return _outcome_by(turn.reply.provenance)


def _outcome_by(provenance: Provenance | None) -> str:
    if provenance is None:
        return names.COMPLETED
    if provenance.degraded:
        return DEGRADED
    return REFUSED if provenance.finish_reason is FinishReason.CONTENT_FILTER else names.COMPLETED


class _Watch:
    """How long a turn runs, in seconds, and until there is something to read."""

    def __init__(self, on_piece: OnPiece | None) -> None:
        self._on_piece = on_piece
        self._began_at = time.perf_counter()
        self.first_after: float | None = None

    def seconds(self) -> float:
        return time.perf_counter() - self._began_at

    async def say(self, piece: str) -> None:
        if self.first_after is None:
            self.first_after = self.seconds()
        if self._on_piece is not None:
            await self._on_piece(piece)


def _attributes_of(tenant_id: TenantId, turn: Turn) -> dict[str, AttributeValue]:
    return {
        names.TENANT_ID: tenant_id,
        gen_ai.CONVERSATION_ID: turn.conversation_id,
        names.TURN_ID: turn.id,
        names.TURN_ATTEMPT: turn.attempt,
    }


def _describe_attempt(span: Span, attempt: Attempt) -> None:
    """Say which attempt it is, also for the spans within: until this task runs another one."""
    attributes = _attributes_of(attempt.tenant_id, attempt.turn)
    ATTEMPT.set(attributes)
    span.set_attributes(attributes)


def _describe_accepted(span: Span, tenant_id: TenantId, accepted: AcceptedTurn) -> None:
    span.set_attributes(_attributes_of(tenant_id, accepted.turn))
    span.set_attribute(names.TURN_REPLAYED, accepted.replayed)
    if accepted.attempt is None:
        span.set_attribute(names.TURN_OUTCOME, outcome_of(accepted.turn))


def _describe_intent(span: Span, attempt: Attempt, classified: Attempt) -> None:
    span.set_attributes(_attributes_of(attempt.tenant_id, attempt.turn))
    if classified.intent is not None:
        span.set_attribute(names.INTENT, classified.intent.name)
        span.set_attribute(names.INTENT_CONFIDENCE, classified.intent.confidence)


def _describe_generated(span: Span, attempt: Attempt, generated: Attempt) -> None:
    span.set_attributes(_attributes_of(attempt.tenant_id, attempt.turn))
    if generated.prompt is not None:
        span.set_attributes(
            {
                gen_ai.PROMPT_NAME: generated.prompt.name,
                gen_ai.PROMPT_VERSION: generated.prompt.version,
                names.PROMPT_DIGEST: generated.prompt.digest,
            }
        )
