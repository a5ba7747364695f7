"""Turns: read one."""

from fastapi import APIRouter, Request, Response

from prosa.entrypoints.http import documentation as docs
from prosa.entrypoints.http.authentication import caller_of
from prosa.entrypoints.http.parts import parts_of
from prosa.entrypoints.http.path_ids import turn_id_in
from prosa.entrypoints.http.rendering import json_answer, turn_view
from prosa.entrypoints.http.schemas import Turn, TurnPathId

router = APIRouter(tags=["turns"])


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
    turn = await parts_of(request).conversations.get_turn(
        caller_of(request).tenant_id, turn_id_in(turn_id)
    )
    return json_answer(turn_view(turn))
