"""A turn as server-sent events: started, the reply's pieces, then completed or failed.

The events have ids from 1. A stream of a finished turn is cut from its stored text and has the same
events as the one that was live, so that it can go on behind any of them, in any process.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Iterable

from fastapi import Response
from fastapi.responses import StreamingResponse
from starlette.requests import ClientDisconnect
from starlette.types import Message, Send

from prosa.domain.sentences import split
from prosa.domain.turn import Turn, TurnStatus
from prosa.entrypoints.http.live_turns import LiveTurn
from prosa.entrypoints.http.preferences import EVENT_STREAM
from prosa.entrypoints.http.problem_table import Problem, problem_of_failed
from prosa.entrypoints.http.rendering import View, json_bytes, turn_view

logger = logging.getLogger(__name__)

NOTHING_LEFT = 204
PIECES_AT_ONCE = 16
PING = b": ping\n\n"

# A proxy that buffers would hold the pieces back.
_HEADERS = {"X-Accel-Buffering": "no"}

TellProblem = Callable[[Problem], View]
TellFailure = Callable[[BaseException], View]


class EventStream(StreamingResponse):
    """An answer of events; a client that takes nothing of it for `reader_seconds` is cut off."""

    media_type = EVENT_STREAM

    def __init__(self, events: AsyncIterator[bytes], *, reader_seconds: float) -> None:
        super().__init__(events, headers=_HEADERS)
        self._reader_seconds = reader_seconds

    async def stream_response(self, send: Send) -> None:
        """Send what there is, as fast as the client takes it. Raises ClientDisconnect."""

        async def send_in_time(message: Message) -> None:
            try:
                async with asyncio.timeout(self._reader_seconds):
                    await send(message)
            except TimeoutError:
                logger.info("a client took nothing of its stream for too long: it is cut off")
                raise ClientDisconnect from None

        await super().stream_response(send_in_time)


class EventWriter:
    """Writes the events of one turn and counts them; those up to the id `after` are left out."""

    def __init__(self, after: int = 0) -> None:
        self._count = 0
        self._after = after

    def started(self, turn: Turn) -> bytes:
        """Say which turn it is. Whoever reads it begins anew."""
        facts: View = {"turn_id": turn.id, "conversation_id": turn.conversation_id}
        return self._write("turn.started", facts)

    def deltas(self, pieces: Iterable[str]) -> bytes:
        """Say the next pieces of the reply."""
        return b"".join(self._write("turn.delta", {"text": piece}) for piece in pieces)

    def completed(self, turn: Turn) -> bytes:
        """Say what came of the turn."""
        return self._write("turn.completed", turn_view(turn))

    def failed(self, problem: View) -> bytes:
        """Say why nothing came of it. This is never left out."""
        self._count = max(self._count, self._after)
        return self._write("turn.failed", problem)

    def _write(self, name: str, view: View) -> bytes:
        self._count += 1
        if self._count <= self._after:
            return b""
        return b"id: %d\nevent: %s\ndata: %s\n\n" % (self._count, name.encode(), json_bytes(view))


def finished_stream(turn: Turn, after: int, tell: TellProblem) -> Response:
    """Answer with the events of a finished turn; with 204 where all were read.

    An `EventSource` that is given 204 does not connect again:
    https://html.spec.whatwg.org/multipage/server-sent-events.html#server-sent-events-intro
    """
    written = finished_events(turn, after, tell)
    if not written:
        return Response(status_code=NOTHING_LEFT)
    return Response(written, headers=_HEADERS, media_type=EVENT_STREAM)


def finished_events(turn: Turn, after: int, tell: TellProblem) -> bytes:
    """Write the events of a finished turn behind the id `after`; none where that is the last.

    An id that the turn has no event for counts as absent. A failed turn's pieces are not kept, so
    that any id is believed, and the failure comes behind it.
    """
    if turn.status is TurnStatus.FAILED:
        events = EventWriter(after)
        return events.started(turn) + events.failed(tell(problem_of_failed(turn)))
    pieces = split(turn.reply.text) if turn.reply else []
    events = EventWriter(after if after <= len(pieces) + 2 else 0)
    return events.started(turn) + events.deltas(pieces) + events.completed(turn)


async def live_events(
    live: LiveTurn, after: int, *, ping_seconds: float, tell_failure: TellFailure
) -> AsyncIterator[bytes]:
    """Write the events of a turn that runs here, behind the id `after`, as they come.

    What is there at once is written at once, within bounds: a client that does not take it would
    have the server hold it. An id that the turn has no event for yet counts as
    absent.
    """
    events = EventWriter(after if after <= len(live.pieces) + 1 else 0)
    written = events.started(live.turn)
    said = 0
    while live.outcome is None or said < len(live.pieces):
        pieces = live.pieces[said : said + PIECES_AT_ONCE]
        said += len(pieces)
        written += events.deltas(pieces)
        if written:
            yield written
            written = b""
        elif not pieces and not await live.changed(ping_seconds):
            written = PING
    if not isinstance(live.outcome, Turn):
        yield written + events.failed(tell_failure(live.outcome))
        return
    if not live.pieces and live.outcome.reply:
        # Nobody streamed it while it ran.
        written += events.deltas(split(live.outcome.reply.text))
    yield written + events.completed(live.outcome)
