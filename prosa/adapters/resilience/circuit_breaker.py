"""Stops asking a model that keeps failing: pybreaker as the state machine, for asyncio.

pybreaker keeps state and count. It runs none of the calls: under asyncio its own ways count nothing
or let everybody through as a probe, take cancellation for a failure, and a late answer for news.
Its rest is by the wall clock. So admission, rest, probe and generation are kept here.
"""

import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import NewType, NoReturn

import pybreaker

from prosa.adapters.resilience.error_table import Outcome
from prosa.application.ports.language_model import CircuitOpen
from prosa.domain.identifiers import Clock

logger = logging.getLogger(__name__)

PROBE_SECONDS = 1.0
"""After how long to ask again while a probe is on its way."""

Generation = NewType("Generation", int)
"""Counts the moves of a breaker: a result counts only in the generation of its call."""


class BreakerState(StrEnum):
    """Whether calls go through."""

    CLOSED = "closed"
    OPEN = "open"
    HALF_OPEN = "half_open"
    """One call at a time goes through, to see whether the model is back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerMoved:
    """A breaker changed its state. `model` as `PROSA_MODELS` writes it."""

    model: str
    before: BreakerState
    after: BreakerState
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class BreakerView:
    """How a breaker is now."""

    model: str
    state: BreakerState
    failures: int
    """In a row."""
    retry_after: float
    """Seconds until a call may go through."""

    def in_words(self) -> str:
        """Say it in a sentence's part."""
        told = f"circuit {self.state.replace('_', '-')}, failures in a row: {self.failures}"
        return f"{told}; asked again in {self.retry_after:.0f} s" if self.retry_after else told


OnMove = Callable[[BreakerMoved], None]


class _Failed(Exception):
    """Tells pybreaker of a failure."""


class CircuitBreaker:
    """The breaker of one model in this process.

    It opens after `failures` in a row, rests for `rest_seconds`, and then lets one call through
    that decides. Whoever is admitted has to `record` what came of it, whatever came. `timer` counts
    seconds and never jumps; `on_move` must neither wait nor raise.
    """

    def __init__(
        self,
        model: str,
        *,
        failures: int,
        rest_seconds: float,
        clock: Clock,
        timer: Callable[[], float] = time.monotonic,
        on_move: OnMove = lambda _: None,
    ) -> None:
        self._model = model
        self._rest_seconds = rest_seconds
        self._clock = clock
        self._timer = timer
        self._on_move = on_move
        self._machine = pybreaker.CircuitBreaker(fail_max=failures, throw_new_error_on_trip=False)
        self._state = BreakerState.CLOSED
        self._generation = Generation(0)
        self._asked_again_at = 0.0
        self._probing = False

    def admit(self) -> Generation:
        """Let a call through. Raises CircuitOpen."""
        if self._state is BreakerState.CLOSED:
            return self._generation
        retry_after = self._retry_after()
        if retry_after > 0:
            raise CircuitOpen(
                f"{self._model} has failed too often: it is asked again in {retry_after:.0f} s",
                retry_after,
            )
        if self._state is BreakerState.OPEN:
            self._move(self._machine.half_open)
        self._probing = True
        return self._generation

    def record(self, generation: Generation, outcome: Outcome) -> None:
        """Take in what came of a call, unless the breaker has moved since it was admitted."""
        if generation != self._generation:
            return
        self._probing = False
        match outcome:
            case Outcome.SUCCESS:
                if self._has_failed():
                    self._move(self._succeed)
            case Outcome.FAILURE:
                self._move(self._fail)
            case Outcome.HOPELESS:
                self._move(self._give_up)
            case _:
                return

    def view(self) -> BreakerView:
        """Tell how it is."""
        return BreakerView(
            model=self._model,
            state=self._state,
            failures=self._machine.fail_counter,
            retry_after=self._retry_after(),
        )

    def _retry_after(self) -> float:
        match self._state:
            case BreakerState.CLOSED:
                return 0.0
            case BreakerState.OPEN:
                return max(0.0, self._asked_again_at - self._timer())
            case BreakerState.HALF_OPEN:
                return PROBE_SECONDS if self._probing else 0.0

    def _has_failed(self) -> bool:
        """Whether a success changes anything: pybreaker is not asked for the many that do not."""
        return self._state is not BreakerState.CLOSED or self._machine.fail_counter > 0

    def _succeed(self) -> None:
        self._machine.call(_do_nothing)

    def _fail(self) -> None:
        with suppress(_Failed):
            self._machine.call(_raise_failed)

    def _give_up(self) -> None:
        self._fail()
        if self._machine.current_state != pybreaker.STATE_OPEN:
            self._machine.open()

    def _move(self, act: Callable[[], object]) -> None:
        """Let pybreaker act, and where that changed its state, begin a new generation."""
        before = self._state
        act()
        self._state = BreakerState(self._machine.current_state.replace("-", "_"))
        if self._state is before:
            return
        self._generation = Generation(self._generation + 1)
        self._asked_again_at = self._timer() + self._rest_seconds
        self._log()
        self._on_move(
            BreakerMoved(model=self._model, before=before, after=self._state, at=self._clock())
        )

    def _log(self) -> None:
        match self._state:
            case BreakerState.OPEN:
                logger.warning(
                    "%s is not asked for %.0f s; failures in a row: %d",
                    self._model,
                    self._rest_seconds,
                    self._machine.fail_counter,
                )
            case BreakerState.CLOSED:
                logger.info("%s answers again", self._model)
            case BreakerState.HALF_OPEN:
                logger.debug("%s is asked by one call", self._model)


def _do_nothing() -> None:
    pass


def _raise_failed() -> NoReturn:
    raise _Failed
