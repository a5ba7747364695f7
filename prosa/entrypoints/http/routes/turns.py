"""Turns: read one, and follow what comes of it."""

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from prosa.entrypoints.http import documentation as docs
from prosa.entrypoints.http.authentication import (
    AuthenticatedRoute,
    caller_of,
    conversations_of,
)
from prosa.entrypoints.http.path_ids import turn_id_in
from prosa.entrypoints.http.rendering import json_answer, turn_view
from prosa.entrypoints.http.resuming import follow
from prosa.entrypoints.http.schemas import Turn, TurnPathId

router = APIRouter(route_class=AuthenticatedRoute, tags=["turns"])


@router.get(
    "/v1/turns/{turn_id}",
    summary="Read a turn",
    responses=docs.answers(
        {200: docs.json_of(Turn, "turn", "The turn, with its message and reply.")},
        "turn_not_found",
        "storage_unavailable",
    ),
)
async def read_turn(request: Request, turn_id: TurnPathId) -> Response:
    """Read a turn, also while it runs."""
    turn = await conversations_of(request).get_turn(
        caller_of(request).tenant_id, turn_id_in(turn_id)
    )
    return json_answer(turn_view(turn))


@router.get(
    "/v1/turns/{turn_id}/events",
    summary="Follow a turn",
    response_class=StreamingResponse,
    responses=docs.EVENTS_ANSWERS,
    openapi_extra=docs.EVENTS_HEADER,
)
async def follow_turn(request: Request, turn_id: TurnPathId) -> Response:
    """Read a turn's events, from the start or behind `Last-Event-ID`.

    It does not matter how the message was sent, or whether the turn still runs: a finished turn has
    the same events, to the byte, as the stream that was live. A turn that runs is followed until it
    has ended. A stream ends with `turn.completed` or `turn.failed`: close an `EventSource` at
    either. At `turn.started` forget what came before: the turn was run again and says other words.
    """
    return await follow(request, caller_of(request).tenant_id, turn_id_in(turn_id))
