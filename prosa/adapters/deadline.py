"""The one place where a language model's deadline becomes a timeout."""

from datetime import datetime

from prosa.application.limit import Limit
from prosa.application.ports.language_model import ModelTimedOut
from prosa.domain.identifiers import Clock


def answering_by(deadline: datetime, clock: Clock) -> Limit:
    """Bound the whole of a model's answer, its stream included.

    Raises ModelTimedOut when the deadline comes, at once where it has passed. Being cancelled by
    the caller stays CancelledError, and a TimeoutError of something else stays what it is.
    """
    remaining = (deadline - clock()).total_seconds()
    if remaining <= 0:
        raise ModelTimedOut("the deadline had passed before the model was asked")
    return Limit(remaining, _late)


def _late() -> ModelTimedOut:
    return ModelTimedOut("the model did not answer by the deadline")
