"""The way of one request down a chain of models."""

import logging
import math
from collections import deque
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from prosa.adapters.resilience.error_table import treatment_of
from prosa.adapters.resilience.listening import Listening
from prosa.application.ports.language_model import (
    CircuitOpen,
    ContextTooLong,
    LanguageModel,
    LanguageModelError,
    ModelRequest,
    ModelTimedOut,
    ModelUnavailable,
)
from prosa.domain.context_window import estimate_tokens, estimate_tokens_of, without_oldest
from prosa.domain.identifiers import Clock
from prosa.domain.message import Utterance

logger = logging.getLogger(__name__)

SHARE = 0.6
"""Of the time that remains: what a model may use while there are others behind it."""

LEAST_TIME = timedelta(seconds=3)
LEAST_PART = 8
"""With less time left than this, and than an eighth of the whole, no call starts."""

RESERVE = timedelta(seconds=0.1)
RESERVE_PART = 20
"""This, or a twentieth of the whole where that is less, is kept: a model's timeout is told as such
before the caller's own comes."""

_NO_TIME = timedelta(0)


class ChainWalk:
    """The way of one request down the chain: who is still to be asked, and with what time."""

    def __init__(
        self,
        models: Sequence[LanguageModel],
        request: ModelRequest,
        clock: Clock,
        *,
        context_tokens: int,
    ) -> None:
        """Stand before the first model; `context_tokens` are those of the largest."""
        whole = max(_NO_TIME, request.deadline - clock())
        self._ahead = deque(models)
        self._request = request
        self._clock = clock
        self._deadline = request.deadline - min(RESERVE, whole / RESERVE_PART)
        self._least = min(LEAST_TIME, whole / LEAST_PART)
        self._largest = context_tokens
        self._failures: list[LanguageModelError] = []
        self._trimmed = False

    def next_model(self) -> LanguageModel | None:
        """Take the model that is to be asked now; None where there is none, no call or no time."""
        if self._ahead and self._request.budget.remaining > 0 and self._is_time():
            return self._ahead.popleft()
        return None

    def request_for(self, model: LanguageModel, listening: Listening | None) -> ModelRequest:
        """Make what a model is asked: its share of the time, and no more than it holds."""
        until = self._share_ends()
        streamed = listening is not None
        request = self._request
        # Not by `replace`, which takes longer, in every turn.
        return ModelRequest(
            tenant_id=request.tenant_id,
            turn_id=request.turn_id,
            instructions=request.instructions,
            utterances=self._utterances_for(model),
            deadline=self._deadline if streamed else until,
            max_output_tokens=request.max_output_tokens,
            temperature=request.temperature,
            budget=request.budget,
            answer_format=request.answer_format,
            first_text_by=until if streamed and self._ahead else None,
            start_by=until - self._least,
        )

    def go_on_after(self, model: LanguageModel, error: LanguageModelError) -> None:
        """Decide who is asked after a failure. Raises it where nobody may be."""
        if isinstance(error, ContextTooLong):
            self._make_room(model, error)
        elif not treatment_of(error).falls_back:
            raise error
        else:
            self._failures.append(error)
            if self._ahead and not isinstance(error, CircuitOpen):
                logger.warning("%s; asking %s instead", error, self._ahead[0].name)

    def failure(self) -> LanguageModelError:
        """Say what to tell where nobody answered."""
        if not self._failures:
            return self._not_asked()
        later = [error for error in self._failures if math.isfinite(_retry_after(error))]
        if len(later) == len(self._failures):
            return min(later, key=_retry_after)
        last = next(error for error in reversed(self._failures) if error not in later)
        if isinstance(last, ModelTimedOut) and self._is_time():
            unavailable = ModelUnavailable("no model answered, though there is time left")
            unavailable.__cause__ = last
            return unavailable
        return last

    def _not_asked(self) -> LanguageModelError:
        if self._is_time():
            return ModelUnavailable("this attempt has made all the calls that it may make")
        return ModelTimedOut("there was no time left to ask a model")

    def _share_ends(self) -> datetime:
        """Say until when a model may take whose turn it is now."""
        if not self._ahead:
            return self._deadline
        now = self._clock()
        return now + (self._deadline - now) * SHARE

    def _is_time(self) -> bool:
        now = self._clock()
        return now < self._deadline and now <= self._deadline - self._least

    def _make_room(self, model: LanguageModel, error: ContextTooLong) -> None:
        """Go on to larger models, or else ask the same one with half of the conversation."""
        larger = [each for each in self._ahead if each.context_tokens > model.context_tokens]
        if larger:
            self._ahead = deque(larger)
            return
        shown = self._utterances_for(model)
        half = without_oldest(shown, tokens=estimate_tokens_of(shown) // 2)
        if self._trimmed or half == shown:
            raise error
        self._trimmed = True
        self._request = replace(self._request, utterances=half)
        self._ahead.appendleft(model)

    def _utterances_for(self, model: LanguageModel) -> tuple[Utterance, ...]:
        """Cut the conversation to what the model holds; it was made to fit the largest."""
        request = self._request
        if model.context_tokens == self._largest:
            return request.utterances
        spoken_for = request.max_output_tokens + estimate_tokens(request.instructions)
        return without_oldest(request.utterances, tokens=model.context_tokens - spoken_for)


def _retry_after(error: LanguageModelError) -> float:
    """After how many seconds it said to ask again; infinite where it said nothing useful."""
    seconds = getattr(error, "retry_after", None)
    return seconds if seconds is not None and seconds >= 0 else math.inf
