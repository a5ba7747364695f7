"""A turn as server-sent events: started, the reply's pieces, then completed or failed.

The events have ids from 1. A stream of a finished turn is cut from its stored text and has the same
events as the one that was live.
"""

from collections.abc import AsyncIterator, Callable

from fastapi import Response
from fastapi.responses import StreamingResponse

from prosa.domain.sentences import split
from prosa.domain.turn import Turn
from prosa.entrypoints.http.live_turns import LiveTurn
from prosa.entrypoints.http.preferences import EVENT_STREAM
from prosa.entrypoints.http.rendering import View, json_bytes, turn_view

PING = b": ping\n\n"

# A proxy that buffers would hold the pieces back.
_HEADERS = {"X-Accel-Buffering": "no"}

TellFailure = Callable[[BaseException], View]


class EventWriter:
    """Writes the events of one turn and counts them."""

    def __init__(self) -> None:
        self._count = 0

    def started(self, turn: Turn) -> bytes:
        """Say which turn it is."""
        facts: View = {"turn_id": turn.id, "conversation_id": turn.conversation_id}
        return self._write("turn.started", facts)

    def delta(self, piece: str) -> bytes:
        """Say the next piece of the reply."""
        return self._write("turn.delta", {"text": piece})

    def completed(self, turn: Turn) -> bytes:
        """Say what came of the turn."""
        return self._write("turn.completed", turn_view(turn))

    def failed(self, problem: View) -> bytes:
        """Say why nothing came of it."""
        return self._write("turn.failed", problem)

    def _write(self, name: str, view: View) -> bytes:
        self._count += 1
        return b"id: %d\nevent: %s\ndata: %s\n\n" % (self._count, name.encode(), json_bytes(view))


def stream_finished(turn: Turn) -> Response:
    """Answer with the events of a completed turn."""
    events = EventWriter()
    pieces = split(turn.reply.text) if turn.reply else []
    written = [events.started(turn), *map(events.delta, pieces), events.completed(turn)]
    return Response(b"".join(written), headers=_HEADERS, media_type=EVENT_STREAM)


async def stream_live(
    turn: Turn, live: LiveTurn, *, ping_seconds: float, tell_failure: TellFailure
) -> Response:
    """Answer with the events of a turn that runs, once there is something of it to show.

    Raises what the turn fails of, where that comes first.
    """
    first = await live.arrival()
    if isinstance(first, BaseException):
        raise first
    arrivals = _arrivals(first, live, ping_seconds)
    return StreamingResponse(
        _events(turn, arrivals, tell_failure), headers=_HEADERS, media_type=EVENT_STREAM
    )


async def _events(
    turn: Turn,
    arrivals: AsyncIterator[str | Turn | BaseException | None],
    tell_failure: TellFailure,
) -> AsyncIterator[bytes]:
    events = EventWriter()
    # One write with the first piece: before it there was nothing to show.
    opening = events.started(turn)
    async for arrival in arrivals:
        match arrival:
            case None:
                yield PING
            case str():
                yield opening + events.delta(arrival)
            case Turn():
                yield opening + events.completed(arrival)
            case _:
                yield opening + events.failed(tell_failure(arrival))
        opening = b""


async def _arrivals(
    first: str | Turn, live: LiveTurn, ping_seconds: float
) -> AsyncIterator[str | Turn | BaseException | None]:
    """Give what arrives until the outcome; None where nothing did for a while."""
    arrival: str | Turn | BaseException | None = first
    yield arrival
    while isinstance(arrival, str | None):
        try:
            arrival = await live.arrival(ping_seconds)
        except TimeoutError:
            arrival = None
        yield arrival
