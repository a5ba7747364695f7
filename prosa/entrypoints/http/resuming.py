"""The events of a turn from any of them on: finished, running here, or running elsewhere."""

import re
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

from fastapi import Request, Response

from prosa.bootstrap.moments import now
from prosa.domain.errors import DeadlineExceeded
from prosa.domain.identifiers import TenantId, TurnId
from prosa.domain.turn import Turn, TurnStatus
from prosa.entrypoints.elsewhere import ReadTurn, watched
from prosa.entrypoints.http import problems
from prosa.entrypoints.http.authentication import conversations_of
from prosa.entrypoints.http.event_stream import (
    PING,
    EventStream,
    EventWriter,
    TellProblem,
    finished_events,
    finished_stream,
    live_events,
)
from prosa.entrypoints.http.parts import serving_of
from prosa.entrypoints.http.preferences import answer_within
from prosa.entrypoints.http.problem_table import Problem, problem_of
from prosa.entrypoints.http.rendering import View

_FOREVER = datetime.max.replace(tzinfo=UTC)

# More digits than any reply has events.
_EVENT_ID = re.compile("[0-9]{1,9}")


async def follow(request: Request, tenant_id: TenantId, turn_id: TurnId) -> Response:
    """Answer with the turn's events behind `Last-Event-ID`. Raises TurnNotFound."""
    serving, conversations = serving_of(request), conversations_of(request)

    async def read() -> Turn:
        return await conversations.get_turn(tenant_id, turn_id)

    def tell(problem: Problem) -> View:
        return problems.document(problem, request)

    turn = await read()
    last_event_id = request.headers.get("last-event-id", "")
    if turn.status is not TurnStatus.RUNNING:
        return finished_stream(turn, _behind(last_event_id, turn), tell)
    live = serving.live_turns.find(turn)
    ping_seconds = serving.ping_seconds
    if live is not None:
        after = _behind(last_event_id, live.turn)
        events = live_events(
            live,
            after,
            ping_seconds=ping_seconds,
            tell_failure=lambda error: tell(problem_of(error)),
        )
    else:
        after = _behind(last_event_id, turn)
        patience = answer_within(request.scope)
        events = awaited_events(
            turn, after, read, ping_seconds=ping_seconds, tell=tell, patience=patience
        )
    return EventStream(events, reader_seconds=serving.reader_seconds)


def _behind(last_event_id: str, turn: Turn) -> int:
    """Say behind which event of the turn to go on, 0 for from the start.

    What is no id counts as absent: the start is right for everybody, while a refusal would end an
    `EventSource` for good. So does an id where there was another attempt, as it may be one of that,
    and two texts must not be spliced.
    """
    known = turn.attempt == 1 and _EVENT_ID.fullmatch(last_event_id)
    return int(last_event_id) if known else 0


async def awaited_events(
    turn: Turn,
    after: int,
    read: ReadTurn,
    *,
    ping_seconds: float,
    tell: TellProblem,
    patience: float | None = None,
) -> AsyncIterator[bytes]:
    """Write the events of a turn that runs elsewhere, behind the id `after`, once it has finished.

    Where its attempt has had its time and nothing came of it, that is what is told. Where another
    attempt finished it, its events begin anew. Where it runs longer than `patience`, in seconds,
    the stream just ends: whoever follows comes back.
    """
    events = EventWriter(after)
    yield events.started(turn)
    known, spoke_at = turn, time.monotonic()
    give_up_at = _FOREVER if patience is None else now() + timedelta(seconds=patience)

    def until(it: Turn) -> datetime:
        return min(it.lease_until, give_up_at)

    async for latest in watched(turn, read, until=until, clock=now):
        known = latest
        if time.monotonic() - spoke_at >= ping_seconds:
            yield PING
            spoke_at = time.monotonic()
    if known.status is TurnStatus.RUNNING:
        if known.lease_has_run_out(now()):
            yield events.failed(tell(problem_of(DeadlineExceeded(turn.id))))
    else:
        seen = max(after, 1) if known.attempt == turn.attempt else 0
        yield finished_events(known, seen, tell)
