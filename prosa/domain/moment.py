"""The moment at which something happens: one instant, and identifiers for what comes of it."""

from dataclasses import dataclass
from datetime import datetime

from prosa.domain.identifiers import NewHex


@dataclass(frozen=True, slots=True, kw_only=True)
class Moment:
    """One instant (UTC) for all that a unit of work changes."""

    now: datetime
    new_hex: NewHex
