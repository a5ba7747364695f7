"""How long a model is waited for."""

from datetime import datetime

from prosa.application.ports.language_model import ModelRequest
from prosa.domain.identifiers import Clock


def patience_of(request: ModelRequest) -> datetime:
    """By when an answer has to be there, or, streamed, has to begin."""
    return request.first_text_by or request.deadline


def seconds_until(moment: datetime, clock: Clock) -> float:
    """How many seconds are left; none are where it is not positive."""
    return (moment - clock()).total_seconds()
