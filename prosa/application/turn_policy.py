"""How turns are taken: the figures that an installation may set."""

from dataclasses import dataclass
from datetime import UTC, tzinfo


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnPolicy:
    """How turns are taken."""

    deadline_seconds: float = 25.0
    history_messages: int = 20
    """The newest messages that are loaded; the window may take fewer."""
    max_output_tokens: int = 512
    temperature: float = 0.3
    prompt: str = "support_agent"
    time_zone: tzinfo = UTC
    """Whose day the model takes for today."""
