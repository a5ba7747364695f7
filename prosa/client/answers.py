"""Answers read: the model that one carries, or the error that it stands for."""

import math
from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from prosa.client.errors import (
    Conflict,
    Forbidden,
    InvalidRequest,
    LimitReached,
    NotFound,
    Problem,
    ProblemDocument,
    ServerFailed,
    TurnNotAnswered,
    Unauthenticated,
    UnexpectedAnswer,
)

PROBLEM_JSON = "application/problem+json"

M = TypeVar("M", bound=BaseModel)

_SUCCESS = range(200, 300)
_SERVER_ERROR = 500
_KINDS: Mapping[int, type[Problem]] = {
    401: Unauthenticated,
    403: Forbidden,
    404: NotFound,
    405: NotFound,
    409: Conflict,
    429: LimitReached,
    502: TurnNotAnswered,
}


def require_success(status: int, headers: Mapping[str, str], body: bytes) -> None:
    """Raise what an answer says is wrong: a Problem, or UnexpectedAnswer."""
    if status in _SUCCESS:
        return
    retry_after = read_retry_after(headers)
    if not headers.get("content-type", "").startswith(PROBLEM_JSON):
        raise UnexpectedAnswer(status, retry_after)
    document = read(ProblemDocument, body, status)
    raise problem_of(document, retry_after)


def read(model: type[M], body: bytes | str, status: int = 200) -> M:
    """Read an answer's JSON. Raises UnexpectedAnswer."""
    try:
        return model.model_validate_json(body)
    except ValidationError:
        # Not as its cause: pydantic quotes what it could not read.
        raise UnexpectedAnswer(status) from None


def problem_of(document: ProblemDocument, retry_after: float | None = None) -> Problem:
    """Make the error that stands for a problem document."""
    usual = ServerFailed if document.status >= _SERVER_ERROR else InvalidRequest
    return _KINDS.get(document.status, usual)(document, retry_after)


def read_retry_after(headers: Mapping[str, str]) -> float | None:
    """Read `Retry-After` in seconds, as Prosa writes it; a date, or nonsense, counts as absent."""
    try:
        seconds = float(headers.get("retry-after", ""))
    except ValueError:
        return None
    return seconds if math.isfinite(seconds) and seconds >= 0 else None
