"""Following a turn: what was heard of it, where to go on, and what to do when that breaks off."""

import json
from collections.abc import Mapping

from httpx2 import ServerSentEvent

from prosa.client import requests
from prosa.client.answers import problem_of, read
from prosa.client.errors import (
    ClientError,
    Conflict,
    Problem,
    ProblemDocument,
    ServerUnreachable,
    UnexpectedAnswer,
)
from prosa.client.models import TurnCompleted, TurnDelta, TurnEvent, TurnStarted
from prosa.client.requests import Request
from prosa.client.tries import Tries

OK = 200
NOTHING_LEFT = 204
TURN_IN_PROGRESS = "turn_in_progress"

FOLLOW_AGAIN_SECONDS = 1.0
"""A pause before a turn is followed that another attempt took over while it was heard."""

_KINDS: Mapping[str, type[TurnEvent]] = {
    "turn.started": TurnStarted,
    "turn.delta": TurnDelta,
    "turn.completed": TurnCompleted,
}
_FAILED = "turn.failed"


class Following:
    """What a call has heard of a turn so far.

    A message is sent again until its turn is known. From then on the turn is followed, each time
    behind the last event that was heard whole, or from its start where another attempt at it took
    over. `ended` says that there is no more to hear.
    """

    def __init__(
        self, message: Request | None = None, *, turn_id: str = "", last_event_id: int = 0
    ) -> None:
        self.ended = False
        self._failed = False
        self._message = message
        self._turn_id = turn_id
        self._last_event_id = last_event_id

    @property
    def next_request(self) -> Request:
        """What to ask now."""
        if self._message is not None and not self._turn_id:
            return self._message
        return requests.events(self._turn_id, self._last_event_id)

    def begin(self, status: int, headers: Mapping[str, str]) -> None:
        """Take the beginning of a good answer: there are events, or none is left.

        Raises UnexpectedAnswer.
        """
        self.ended = status == NOTHING_LEFT
        is_stream = headers.get("content-type", "").startswith(requests.EVENT_STREAM)
        if not self.ended and not is_stream:
            raise UnexpectedAnswer(status)

    def take(self, said: ServerSentEvent) -> TurnEvent | None:
        """Take an event; None for one of a kind that is not known here.

        Raises Problem where the turn failed, and UnexpectedAnswer.
        """
        if said.event == _FAILED:
            self._failed = True
            raise _problem_in(said)
        event = _read(said)
        if event is not None:
            self._note(event)
        return event

    def require_end(self) -> None:
        """Raise ServerUnreachable where a stream ended, and its turn did not."""
        if not self.ended:
            raise ServerUnreachable("the stream broke off")

    def pause_after(self, error: ClientError, tries: Tries) -> float:
        """Say how long to pause before `next_request`, in seconds. Raises the error if it is final.

        A turn that failed is final once some of its reply was heard: two texts must not be spliced.
        What goes wrong once all was heard is no matter.
        """
        if self.ended:
            return 0.0
        failed, self._failed = self._failed, False
        if isinstance(error, Conflict) and error.code == TURN_IN_PROGRESS and error.turn_id:
            return self._pause_before_following(error, error.turn_id, tries)
        if failed:
            if self._message is None:
                raise error
            self._turn_id, self._last_event_id = "", 0
        return tries.pause_after(error)

    def _pause_before_following(self, error: Conflict, turn_id: str, tries: Tries) -> float:
        """Go on with a turn that runs: at once if it is news, after a pause if it was followed."""
        pause = tries.pause_after(error) if self._turn_id else 0.0
        self._turn_id, self._last_event_id = turn_id, 0
        return pause

    def _note(self, event: TurnEvent) -> None:
        self._last_event_id = event.event_id
        match event:
            case TurnStarted():
                self._turn_id = event.turn_id
            case TurnDelta():
                self._message = None
            case TurnCompleted():
                self.ended = True


def _problem_in(said: ServerSentEvent) -> Problem:
    """Read why a turn failed; nothing in a stream says when to come back."""
    document = read(ProblemDocument, said.data)
    taken_over = document.code == TURN_IN_PROGRESS
    return problem_of(document, FOLLOW_AGAIN_SECONDS if taken_over else None)


def _read(said: ServerSentEvent) -> TurnEvent | None:
    kind = _KINDS.get(said.event)
    if kind is None:
        return None
    try:
        facts = json.loads(said.data)
        facts = {"turn": facts} if kind is TurnCompleted else facts
        return kind.model_validate({**facts, "event_id": said.id})
    except (TypeError, ValueError):
        # Not as its cause: pydantic quotes what it could not read.
        raise UnexpectedAnswer(OK) from None
