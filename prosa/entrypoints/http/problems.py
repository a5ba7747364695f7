"""Problem documents (RFC 9457), as answers and in the log.

A problem never quotes what the client sent, and never says more of the inside than its code.
"""

import logging
import traceback

import orjson
from fastapi import Request, Response

from prosa.domain.errors import ProsaError
from prosa.domain.identifiers import TurnId, is_identifier
from prosa.entrypoints.http.problem_table import INTERNAL_ERROR, Problem, problem_of
from prosa.entrypoints.http.request_facts import facts_of

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:prosa:problem:"

SERVER_ERROR = 500


def document(problem: Problem, request: Request) -> dict[str, object]:
    """Write a problem down for one request, with the turn that it claimed, if any."""
    turn_id = problem.turn_id or facts_of(request.scope).turn_id
    told: dict[str, object] = {
        "type": TYPE_PREFIX + problem.code,
        "title": problem.title,
        "status": problem.status,
        "detail": problem.detail,
        "code": problem.code,
        "trace_id": facts_of(request.scope).trace_id,
        "errors": problem.errors,
    }
    address = turn_address(turn_id) if turn_id else _address(request)
    if address:
        told["instance"] = address
    if turn_id:
        told["turn_id"] = turn_id
    return told


def answer(problem: Problem, request: Request) -> Response:
    """Answer with a problem."""
    headers = dict(problem.headers)
    if problem.retry_after is not None:
        headers["Retry-After"] = str(problem.retry_after)
    turn_id = problem.turn_id or facts_of(request.scope).turn_id
    if turn_id:
        headers["Location"] = turn_address(turn_id)
    return Response(
        orjson.dumps(document(problem, request)), problem.status, headers, media_type=MEDIA_TYPE
    )


def turn_address(turn_id: TurnId) -> str:
    """Say where a turn is read."""
    return f"/v1/turns/{turn_id}"


def report(error: BaseException, trace_id: str) -> None:
    """Log what a client is not told: the cause of a failure that is not the client's.

    A ProsaError's message never quotes a customer. What another exception says might: of it, only
    its class and the lines of code are logged.
    """
    problem = problem_of(error)
    if problem.status < SERVER_ERROR:
        return
    if problem is INTERNAL_ERROR:
        report_internal(error, trace_id)
    else:
        logger.warning("%s (trace %s): %s", problem.code, trace_id, _why(error))


def report_internal(error: BaseException, trace_id: str) -> None:
    """Log what is our own mistake, as `report` does, with the lines of code that led to it."""
    logger.error("%s (trace %s)\n%s", INTERNAL_ERROR.code, trace_id, _where(error))


def _why(error: BaseException) -> str:
    """Name an error and its causes; only our own speak."""
    chain: list[str] = []
    cause: BaseException | None = error
    while cause is not None:
        says = f": {cause}" if isinstance(cause, ProsaError) else ""
        chain.append(f"{type(cause).__name__}{says}")
        cause = cause.__cause__
    return ", caused by ".join(chain)


def _where(error: BaseException) -> str:
    return "".join(traceback.format_tb(error.__traceback__)) + _why(error)


def _address(request: Request) -> str | None:
    """Give the request's path where all of it is ours: a route's, with identifiers in it."""
    identifiers = map(str, request.path_params.values())
    known = all(is_identifier(text, text.partition("_")[0]) for text in identifiers)
    return request.scope["path"] if known and "route" in request.scope else None
