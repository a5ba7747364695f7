"""What each failure of a language model leads to: the one table of it."""

from dataclasses import dataclass
from enum import Enum, auto

from prosa.application.ports.language_model import (
    CircuitOpen,
    ContentFiltered,
    ContextTooLong,
    LanguageModelError,
    ModelMisconfigured,
    ModelQuotaExhausted,
    ModelRateLimited,
    ModelRejectedRequest,
    ModelReplyMalformed,
    ModelTimedOut,
    ModelUnavailable,
)


class Outcome(Enum):
    """What a call says of a model's health."""

    SUCCESS = auto()
    FAILURE = auto()
    """One more in a row."""
    HOPELESS = auto()
    """Enough by itself: it cannot work until somebody mends it."""
    NEUTRAL = auto()
    """Nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Treatment:
    """What follows from a failure."""

    again: bool
    """Whether the same model may be asked once more."""
    falls_back: bool
    """Whether the next model may be asked."""
    outcome: Outcome
    alarms: bool = False
    """Whether a person has to look."""


_FAILURE, _NEUTRAL = Outcome.FAILURE, Outcome.NEUTRAL

TREATMENTS: dict[type[LanguageModelError], Treatment] = {
    ModelUnavailable: Treatment(again=True, falls_back=True, outcome=_FAILURE),
    ModelTimedOut: Treatment(again=False, falls_back=True, outcome=_FAILURE),
    # Again only where it says after how long, and that is soon.
    ModelRateLimited: Treatment(again=True, falls_back=True, outcome=_FAILURE),
    ModelReplyMalformed: Treatment(again=True, falls_back=True, outcome=_FAILURE),
    ModelQuotaExhausted: Treatment(again=False, falls_back=True, outcome=_FAILURE, alarms=True),
    ModelMisconfigured: Treatment(
        again=False, falls_back=True, outcome=Outcome.HOPELESS, alarms=True
    ),
    CircuitOpen: Treatment(again=False, falls_back=True, outcome=_NEUTRAL),
    # Only a larger context, or a shorter conversation, is a way out.
    ContextTooLong: Treatment(again=False, falls_back=False, outcome=_NEUTRAL),
    # To ask another model would be a way around the filter.
    ContentFiltered: Treatment(again=False, falls_back=False, outcome=_NEUTRAL),
    ModelRejectedRequest: Treatment(again=False, falls_back=False, outcome=_NEUTRAL),
    # What an adapter of somebody else's may raise.
    LanguageModelError: Treatment(again=False, falls_back=True, outcome=_FAILURE),
}


def treatment_of(error: LanguageModelError) -> Treatment:
    """Say what follows from a failure: what its class says, or the nearest base class."""
    return next(TREATMENTS[kind] for kind in type(error).__mro__ if kind in TREATMENTS)
