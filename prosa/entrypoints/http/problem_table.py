"""What goes wrong, as a client is told: status, code and words of each failure, in one table."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from prosa.application.ports.authenticator import KeysUnavailable
from prosa.application.ports.guardrail import GuardrailError
from prosa.application.ports.language_model import (
    ContextTooLong,
    LanguageModelError,
    ModelRejectedRequest,
)
from prosa.application.ports.turn_runner import TurnNotStarted
from prosa.application.ports.unit_of_work import (
    CommitUnknown,
    StorageUnavailable,
    VersionConflict,
)
from prosa.domain import errors
from prosa.domain.conversation import LEASE_RAN_OUT
from prosa.domain.identifiers import TurnId
from prosa.domain.message import MAX_MESSAGE_CHARACTERS
from prosa.domain.turn import Turn
from prosa.entrypoints.field_errors import FieldError


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """One kind of problem, or one occurrence of it."""

    status: int
    code: str
    title: str
    detail: str
    retry_after: int | None = None
    """Whole seconds."""
    turn_id: TurnId | None = None
    errors: tuple[FieldError, ...] = ()
    headers: Mapping[str, str] = field(default_factory=dict)


def _kind(
    status: int, code: str, title: str, detail: str, retry_after: int | None = None
) -> Problem:
    return Problem(status=status, code=code, title=title, detail=detail, retry_after=retry_after)


INTERNAL_ERROR = _kind(
    500,
    "internal_error",
    "Internal error",
    "Something went wrong on our side. Ask again, and name the trace_id if it stays.",
)
TURN_FAILED = _kind(
    502,
    "turn_failed",
    "The turn failed",
    "The message was stored but could not be answered. Send it again with a new key.",
)

REQUEST_PROBLEMS = {
    problem.code: problem
    for problem in (
        _kind(400, "malformed_json", "Malformed JSON", "The body cannot be read."),
        _kind(
            400,
            "invalid_idempotency_key",
            "Invalid idempotency key",
            "An Idempotency-Key has 1 to 255 printable ASCII characters, bare or in quotes.",
        ),
        _kind(400, "bad_request", "Bad request", "The request cannot be understood."),
        _kind(404, "not_found", "Not found", "There is nothing at this address."),
        _kind(405, "method_not_allowed", "Method not allowed", "See the Allow header."),
        _kind(
            408,
            "request_timeout",
            "Request timeout",
            "The body did not arrive in time. Send the request again, with the same key.",
        ),
        _kind(
            413,
            "payload_too_large",
            "Payload too large",
            "A body may have 262144 bytes (256 KiB).",
        ),
        _kind(
            415,
            "unsupported_media_type",
            "Unsupported media type",
            "Send JSON in UTF-8, with the header `Content-Type: application/json` and without "
            "`Content-Encoding`.",
        ),
        _kind(422, "validation_error", "Validation error", "See errors for what to mend."),
        _kind(
            503,
            "shutting_down",
            "Shutting down",
            "The server is stopping. Ask again with the same key.",
            1,
        ),
        _kind(
            503,
            "interrupted",
            "The turn was interrupted",
            "The server stopped before the answer was ready. The message is stored: ask again "
            "with the same key.",
            1,
        ),
    )
}
"""Problems that no exception of a use case stands for, by their code."""

_MODEL_UNAVAILABLE = _kind(
    503,
    "model_unavailable",
    "No model available",
    "No language model could answer. The message is stored: ask again with the same key.",
    5,
)
_STORAGE_UNAVAILABLE = _kind(
    503,
    "storage_unavailable",
    "Storage unavailable",
    "The database does not answer. Ask again, with the same key if you sent one.",
    2,
)
_TURN_IN_PROGRESS = _kind(
    409,
    "turn_in_progress",
    "The turn is running",
    "The turn of this key is still running. Ask again, or read it at its address.",
    1,
)
_CONTEXT_TOO_LONG = _kind(
    422,
    "context_too_long",
    "Context too long",
    "The message and what came before it do not fit into any model's context.",
)
_MODEL_REJECTED = _kind(
    502,
    "model_rejected",
    "The model rejected the request",
    "The model's provider refuses this message, and would refuse it again.",
)

_UNAUTHENTICATED = replace(
    _kind(
        401, "unauthenticated", "Unauthenticated", "Send a token, as in `Authorization: Bearer …`."
    ),
    headers={"WWW-Authenticate": 'Bearer realm="prosa"'},
)

PROBLEMS: dict[type[errors.ProsaError], Problem] = {
    errors.TokenMissing: _UNAUTHENTICATED,
    errors.TokenRefused: replace(
        _UNAUTHENTICATED,
        headers={"WWW-Authenticate": 'Bearer realm="prosa", error="invalid_token"'},
    ),
    errors.Forbidden: _kind(403, "forbidden", "Forbidden", "This is not for who asks."),
    KeysUnavailable: _kind(
        503,
        "identity_unavailable",
        "Identity unavailable",
        "The keys that tokens are checked with cannot be read. Ask again.",
        2,
    ),
    errors.ConversationClosed: _kind(
        409,
        "conversation_closed",
        "The conversation is closed",
        "A closed conversation takes no messages. Start a new one.",
    ),
    errors.ConversationBusy: _kind(
        409,
        "conversation_busy",
        "The conversation is busy",
        "Another message of this conversation is being answered. Ask again.",
        1,
    ),
    errors.MessageTooLong: _kind(
        422,
        "validation_error",
        "Validation error",
        f"A message may have {MAX_MESSAGE_CHARACTERS} characters.",
    ),
    errors.InvalidField: REQUEST_PROBLEMS["validation_error"],
    errors.ConversationNotFound: _kind(
        404, "conversation_not_found", "Conversation not found", "There is no such conversation."
    ),
    errors.TurnNotFound: _kind(404, "turn_not_found", "Turn not found", "There is no such turn."),
    errors.KeyReused: _kind(
        422,
        "idempotency_key_reused",
        "Idempotency key reused",
        "This key came before with another request. Use a new key.",
    ),
    # Somebody holds the key, and what for cannot be read: the next look will tell.
    errors.KeyTaken: _STORAGE_UNAVAILABLE,
    errors.TurnInProgress: _TURN_IN_PROGRESS,
    # Another attempt owns the turn now: the same key brings what comes of it.
    errors.StaleAttempt: _TURN_IN_PROGRESS,
    errors.DeadlineExceeded: _kind(
        504,
        "deadline_exceeded",
        "Deadline exceeded",
        "No answer was ready in time. The message is stored: ask again with the same key.",
        1,
    ),
    errors.TurnFailed: TURN_FAILED,
    LanguageModelError: _MODEL_UNAVAILABLE,
    ContextTooLong: _CONTEXT_TOO_LONG,
    ModelRejectedRequest: _MODEL_REJECTED,
    StorageUnavailable: _STORAGE_UNAVAILABLE,
    CommitUnknown: _STORAGE_UNAVAILABLE,
    VersionConflict: _STORAGE_UNAVAILABLE,
    TurnNotStarted: _kind(
        503,
        "turn_not_started",
        "The turn was not started",
        "The message is stored, but nothing took it on yet. Ask again with the same key.",
        2,
    ),
    GuardrailError: _kind(
        503,
        "guardrail_unavailable",
        "Guardrail unavailable",
        "The text could not be checked, so it was not let through. Ask again with the same key.",
        2,
    ),
}
"""How each failure of a use case is told; a class that is not listed is told as its base class.

What is listed under no class is our own mistake, and told as `internal_error`.
"""

FAILURES_OF_TURNS = {
    problem.code: problem for problem in (_CONTEXT_TOO_LONG, _MODEL_REJECTED, TURN_FAILED)
}
"""How a turn that failed for good is told, by what it failed of; TURN_FAILED for all else."""


PROBLEM_OF_CODE: Mapping[str, Problem] = {
    problem.code: problem
    for problem in (
        INTERNAL_ERROR,
        *PROBLEMS.values(),
        *FAILURES_OF_TURNS.values(),
        *REQUEST_PROBLEMS.values(),
    )
}
"""Every kind of problem, by its code."""

# Its process was stopped, or died: to the client that is one.
_RETRYABLE_FAILURES = {**PROBLEM_OF_CODE, LEASE_RAN_OUT: PROBLEM_OF_CODE["interrupted"]}


class RequestRefusedError(Exception):
    """A request that reaches no use case; carries the problem that its client is told."""

    def __init__(self, problem: Problem) -> None:
        super().__init__(problem.code)
        self.problem = problem


def refusal(code: str, detail: str | None = None) -> Problem:
    """Take a request's problem from the table, with a detail of its own where there is one."""
    problem = REQUEST_PROBLEMS[code]
    return replace(problem, detail=detail) if detail else problem


def problem_of(error: BaseException) -> Problem:
    """Say how an error is told to a client."""
    if isinstance(error, RequestRefusedError):
        return error.problem
    known = next((PROBLEMS[kind] for kind in type(error).__mro__ if kind in PROBLEMS), None)
    if known is None:
        return INTERNAL_ERROR
    if isinstance(error, errors.TurnFailed):
        known = FAILURES_OF_TURNS.get(error.code, TURN_FAILED)
    if isinstance(error, errors.AccessRefused | errors.InvalidField):
        known = replace(known, detail=_sentence(str(error)))
    # What was not found has no address, and its id may be anything.
    found = not isinstance(error, errors.NotFound)
    return replace(
        known,
        turn_id=getattr(error, "turn_id", None) if found else None,
        retry_after=_whole_seconds(getattr(error, "retry_after", None)) or known.retry_after,
    )


def problem_of_failed(turn: Turn) -> Problem:
    """Say how a failed turn is told, by the code that is stored of it."""
    code = turn.error.code if turn.error else ""
    if turn.error and turn.error.retryable:
        known = _RETRYABLE_FAILURES.get(code, INTERNAL_ERROR)
    else:
        known = FAILURES_OF_TURNS.get(code, TURN_FAILED)
    return replace(known, turn_id=turn.id)


def _sentence(text: str) -> str:
    return f"{text[0].upper()}{text[1:]}."


def _whole_seconds(seconds: float | None) -> int | None:
    """Round up, to at least one; what is no number of seconds counts as absent."""
    if seconds is None or not math.isfinite(seconds):
        return None
    return max(1, math.ceil(seconds))
