"""Takes turns so that each line of the log which is written meanwhile can name the turn."""

from prosa.adapters.log_context import TURN_ID
from prosa.application.generation import OnPiece
from prosa.application.take_turn import TakeTurn
from prosa.domain.turn import Attempt, Turn


class NamedTakeTurn(TakeTurn):
    """Takes turns; see TakeTurn."""

    async def run(self, attempt: Attempt, on_piece: OnPiece | None = None) -> Turn:
        """Run an attempt, with its turn's id in the context of the log."""
        before = TURN_ID.set(attempt.turn_id)
        try:
            return await super().run(attempt, on_piece)
        finally:
            TURN_ID.reset(before)
