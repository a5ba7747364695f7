"""What a client raises, in one tree.

ClientError
├─ ServerUnreachable     no answer, or one that broke off
├─ UnexpectedAnswer      an answer that is not Prosa's: a proxy's page, another program
└─ Problem               Prosa says what is wrong (RFC 9457): `code` is for programs
    ├─ InvalidRequest    400 408 413 415 422: what was sent has to be mended
    ├─ Unauthenticated   401: the token is missing, or is not believed
    ├─ Forbidden         403
    ├─ NotFound          404 405: nothing there, for who asks
    ├─ Conflict          409: the conversation is busy or closed, or the turn of this key runs
    ├─ LimitReached      429
    ├─ TurnNotAnswered   502: the turn failed for good; send the message again with a new key
    └─ ServerFailed      500 503 504: not now; the same key is safe to send again

No message of theirs quotes what a customer wrote.
"""

from pydantic import BaseModel, ConfigDict

from prosa.domain.errors import ProsaError

_TRY_LATER = frozenset({408, 429, 502, 503, 504})
"""Statuses by which a proxy before the server says that it may be there again later."""


class ClientError(ProsaError):
    """Anything that a client raises on purpose.

    `retryable` says whether the same request, with the same idempotency key, may succeed later;
    `retry_after`, in seconds, is how long the server asks to wait.
    """

    retryable: bool = False
    retry_after: float | None = None


class ServerUnreachable(ClientError):
    """Nothing answered, or the answer broke off; the server may or may not have heard."""

    retryable = True


class UnexpectedAnswer(ClientError):
    """Something answered that is not Prosa."""

    def __init__(self, status: int, retry_after: float | None = None) -> None:
        super().__init__(f"the answer, of status {status}, is none of Prosa's: is the URL right?")
        self.status = status
        self.retryable = status in _TRY_LATER
        self.retry_after = retry_after


class WrongField(BaseModel):
    """What is wrong with one part of a request: where, what (for programs), what (for people)."""

    model_config = ConfigDict(frozen=True)

    location: str
    code: str
    detail: str


class ProblemDocument(BaseModel):
    """A problem as the server writes it down; what is not named here is passed over."""

    model_config = ConfigDict(frozen=True)

    status: int
    code: str
    title: str
    detail: str
    trace_id: str
    errors: tuple[WrongField, ...] = ()
    turn_id: str | None = None


class Problem(ClientError):
    """Prosa refuses, or cannot, and says why.

    `code` is for programs, `detail` for people, `trace_id` finds it in the server's log;
    `turn_id` is the turn that it is about, if any, and `errors` names the fields to mend.
    """

    def __init__(self, document: ProblemDocument, retry_after: float | None = None) -> None:
        super().__init__(_in_words(document))
        self.status = document.status
        self.code = document.code
        self.title = document.title
        self.detail = document.detail
        self.trace_id = document.trace_id
        self.errors = document.errors
        self.turn_id = document.turn_id
        self.retry_after = retry_after
        self.retryable = retry_after is not None or document.status in {408, 429, 503, 504}


class InvalidRequest(Problem):
    """What was sent has to be mended; see `errors`."""


class Unauthenticated(Problem):
    """The token is missing, or is not believed."""


class Forbidden(Problem):
    """It is not for who asks."""


class NotFound(Problem):
    """There is nothing, at least for who asks."""


class Conflict(Problem):
    """`conversation_busy`, `conversation_closed` or `turn_in_progress`."""


class LimitReached(Problem):
    """Too much was asked for."""


class TurnNotAnswered(Problem):
    """The turn failed for good: only a new key makes another."""


class ServerFailed(Problem):
    """Not now; the message may be stored already, and the same key is safe to send again."""


def _in_words(document: ProblemDocument) -> str:
    wrong = " ".join(field.detail for field in document.errors)
    return f"{document.code}: {wrong or document.detail} (trace {document.trace_id})"
