"""Wrappers of a language model: Fallback([Retrying(CircuitBroken(model)), …]).

What each failure leads to stands in `error_table`. After the first text was handed over nothing is
asked again: an answer is never spliced from two.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from datetime import datetime

from tenacity import RetryCallState
from tenacity.asyncio import AsyncRetrying
from tenacity.wait import wait_random_exponential

from prosa.adapters.deadline import answering_by
from prosa.adapters.resilience.chain_walk import ChainWalk
from prosa.adapters.resilience.circuit_breaker import CircuitBreaker
from prosa.adapters.resilience.error_table import Outcome, treatment_of
from prosa.adapters.resilience.listening import Listening
from prosa.adapters.resilience.patience import patience_of, seconds_until
from prosa.adapters.resilience.retry_budget import RetryBudget
from prosa.adapters.wrapped_language_model import WrappedLanguageModel
from prosa.application.ports.language_model import (
    CircuitOpen,
    LanguageModel,
    LanguageModelError,
    ModelRateLimited,
    ModelRequest,
    ModelTimedOut,
    OnText,
)
from prosa.domain.identifiers import Clock
from prosa.domain.reply import Reply

logger = logging.getLogger(__name__)

ATTEMPTS = 2
"""How often one model is asked for one reply, at most."""

LONGEST_JITTER_SECONDS = 0.5
"""Before a model is asked again: any time up to this, so that not all come back at once."""

_JITTER = wait_random_exponential(multiplier=LONGEST_JITTER_SECONDS, max=LONGEST_JITTER_SECONDS)


class CircuitBrokenLanguageModel(WrappedLanguageModel):
    """Asks a model only while its breaker lets calls through, and tells it what came of each.

    Raises CircuitOpen where it does not. A call that was cancelled, or ended by its listener, says
    nothing of the model.
    """

    def __init__(self, model: LanguageModel, breaker: CircuitBreaker, *, clock: Clock) -> None:
        super().__init__(model)
        self._breaker = breaker
        self._clock = clock
        self._alarmed = False

    async def generate(self, request: ModelRequest, on_text: OnText | None = None) -> Reply:
        """Answer; see the port. That no call or no time is left is no failure of the model."""
        request.budget.require()
        if self._clock() >= patience_of(request):
            raise ModelTimedOut(f"there was no time left to ask {self.name}")
        listening = Listening.to(on_text)
        generation = self._breaker.admit()
        outcome = Outcome.NEUTRAL
        try:
            reply = await self._answer(request, listening)
            outcome = Outcome.SUCCESS
        except LanguageModelError as error:
            if not (listening and listening.broke):
                outcome = treatment_of(error).outcome
                self._alarm(error)
            raise
        finally:
            self._breaker.record(generation, outcome)
        self._alarmed = False
        return reply

    def _answer(self, request: ModelRequest, listening: Listening | None) -> Awaitable[Reply]:
        """Have the model answer; a streamed answer has to begin in time, too."""
        if listening is None or request.first_text_by is None:
            return self._model.generate(request, listening)
        return self._begun_by(request.first_text_by, request, listening)

    async def _begun_by(
        self, first_text_by: datetime, request: ModelRequest, listening: Listening
    ) -> Reply:
        limit = answering_by(first_text_by, self._clock)

        async def begun(text: str) -> None:
            limit.lift()
            await listening(text)

        async with limit:
            return await self._model.generate(request, begun)

    def _alarm(self, error: LanguageModelError) -> None:
        """Say, once until it answers again, what only a person can mend."""
        if treatment_of(error).alarms and not self._alarmed:
            self._alarmed = True
            logger.error("mend this: %s", error)


class RetryingLanguageModel(WrappedLanguageModel):
    """Asks a model once more where that may help, after a while.

    `retries` is shared by all models of the process.
    """

    def __init__(
        self,
        model: LanguageModel,
        retries: RetryBudget,
        *,
        clock: Clock,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        super().__init__(model)
        self._retries = retries
        self._clock = clock
        self._sleep = sleep

    async def generate(self, request: ModelRequest, on_text: OnText | None = None) -> Reply:
        """Answer; see the port. Raises the last failure that was the model's own."""
        self._retries.earn()
        listening = Listening.to(on_text)
        try:
            return await self._model.generate(request, listening)
        except LanguageModelError as error:
            if not treatment_of(error).again:
                raise
            return await self._once_more(error, request, listening)

    async def _once_more(
        self, failure: LanguageModelError, request: ModelRequest, listening: Listening | None
    ) -> Reply:
        """Tell tenacity of a failure: calls that succeed at once do not pay for it (20 µs)."""
        told = False

        async def ask() -> Reply:
            nonlocal told
            if not told:
                told = True
                raise failure
            return await self._model.generate(request, listening)

        def may_help(state: RetryCallState) -> bool:
            left = state.attempt_number < ATTEMPTS
            return left and self._may_help(failure, request, listening)

        retrying = AsyncRetrying(sleep=self._sleep, wait=_wait, retry=may_help, reraise=True)
        with suppress(CircuitOpen):
            return await retrying(ask)
        # What opened the circuit says more.
        raise failure

    def _may_help(
        self, failure: LanguageModelError, request: ModelRequest, listening: Listening | None
    ) -> bool:
        heard = listening is not None and listening.heard
        return (
            not heard
            and request.budget.remaining > 0
            and self._is_time(failure, request)
            and self._retries.spend()
        )

    def _is_time(self, failure: LanguageModelError, request: ModelRequest) -> bool:
        """Whether a call may still start after the wait; a wait asked for may take half of it."""
        patience = patience_of(request)
        remaining = seconds_until(patience, self._clock)
        until_start = seconds_until(request.start_by or patience, self._clock)
        if not isinstance(failure, ModelRateLimited):
            return until_start > LONGEST_JITTER_SECONDS
        wait = failure.retry_after
        return wait is not None and 0 <= wait <= remaining / 2 and wait <= until_start


class FallbackLanguageModel(LanguageModel):
    """A chain of models, in order of preference, as one: where one fails, the next is asked.

    A model with others behind it may use 60 % of the time that remains. A conversation is cut to
    what each model holds.
    """

    def __init__(self, models: Sequence[LanguageModel], *, clock: Clock) -> None:
        """Take at least one model."""
        self._models = tuple(models)
        self._clock = clock
        self._name = ", ".join(model.name for model in models)
        self._context_tokens = max(model.context_tokens for model in models)
        self._alternating = any(model.needs_alternating_roles for model in models)

    @property
    def name(self) -> str:
        """The chain as `PROSA_MODELS` writes it."""
        return self._name

    @property
    def context_tokens(self) -> int:
        """The largest of the chain."""
        return self._context_tokens

    @property
    def needs_alternating_roles(self) -> bool:
        """Whether any of the chain does."""
        return self._alternating

    async def generate(self, request: ModelRequest, on_text: OnText | None = None) -> Reply:
        """Answer; see the port.

        Raises ModelTimedOut where the time was over, and else the failure that says best when to
        try again.
        """
        listening = Listening.to(on_text)
        walk = ChainWalk(self._models, request, self._clock, context_tokens=self._context_tokens)
        while (model := walk.next_model()) is not None:
            try:
                return await model.generate(walk.request_for(model, listening), listening)
            except LanguageModelError as error:
                if listening and listening.heard:
                    raise
                walk.go_on_after(model, error)
        raise walk.failure()


def _wait(state: RetryCallState) -> float:
    """Wait as long as the provider asked for, or else for a random while."""
    failure = state.outcome.exception() if state.outcome else None
    asked_for = getattr(failure, "retry_after", None)
    return _JITTER(state) if asked_for is None else float(asked_for)
