"""Everything that boto3 and Bedrock raise, and which of the port's errors it is.

Codes: https://docs.aws.amazon.com/bedrock/latest/userguide/troubleshooting-api-error-codes.html. A
code comes as an answer's `x-amzn-errortype`, or within a stream as an event of that name.
"""

import re
from collections.abc import Iterator
from contextlib import contextmanager

import urllib3
from botocore.eventstream import ParserError
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    ConnectTimeoutError,
    CredentialRetrievalError,
    HTTPClientError,
    MetadataRetrievalError,
    ReadTimeoutError,
    TokenRetrievalError,
)
from botocore.exceptions import ConnectionError as BotoConnectionError
from botocore.parsers import ResponseParserError

from prosa.application.ports.language_model import (
    ContentFiltered,
    ContextTooLong,
    LanguageModelError,
    ModelMisconfigured,
    ModelQuotaExhausted,
    ModelRateLimited,
    ModelRejectedRequest,
    ModelReplyMalformed,
    ModelTimedOut,
    ModelUnavailable,
)

Diagnosis = tuple[type[LanguageModelError], str]

_LATE: Diagnosis = (ModelTimedOut, "did not answer in time")
_LIMITED: Diagnosis = (ModelRateLimited, "takes no more requests for now")
_FAILED: Diagnosis = (ModelUnavailable, "failed")
_FORBIDDEN: Diagnosis = (ModelMisconfigured, "is not there, or not for these credentials")
_REFUSED: Diagnosis = (ModelRejectedRequest, "refused the request")
_TOO_LONG: Diagnosis = (ContextTooLong, "finds the conversation too long")

_CODES: dict[str, Diagnosis] = {
    "ThrottlingException": _LIMITED,
    # "You can resubmit your request later": a limit of the account, and no lack of credit.
    "ServiceQuotaExceededException": _LIMITED,
    "ModelNotReadyException": _FAILED,
    "ModelTimeoutException": _FAILED,
    "ModelErrorException": _FAILED,
    "ModelStreamErrorException": _FAILED,
    "InternalServerException": _FAILED,
    "InternalFailure": _FAILED,
    "ServiceUnavailableException": _FAILED,
    "ValidationException": _REFUSED,
    "AccessDeniedException": _FORBIDDEN,
    "ResourceNotFoundException": _FORBIDDEN,
    "UnrecognizedClientException": _FORBIDDEN,
    "InvalidClientTokenId": _FORBIDDEN,
    "InvalidSignatureException": _FORBIDDEN,
    "SignatureDoesNotMatch": _FORBIDDEN,
    "IncompleteSignature": _FORBIDDEN,
    "MissingAuthenticationTokenException": _FORBIDDEN,
    "ExpiredTokenException": _FORBIDDEN,
    "ExpiredToken": _FORBIDDEN,
    "RequestExpired": _FORBIDDEN,
    "NotAuthorized": _FORBIDDEN,
    "OptInRequired": _FORBIDDEN,
}

_STATUSES: dict[int, Diagnosis] = {
    401: _FORBIDDEN,
    403: _FORBIDDEN,
    404: _FORBIDDEN,
    408: _FAILED,
    413: _TOO_LONG,
    424: _FAILED,
    429: _LIMITED,
}
_CLIENT_ERRORS = range(400, 500)

_WORDS: tuple[tuple[type[LanguageModelError], re.Pattern[str], Diagnosis], ...] = (
    (
        ModelRateLimited,
        re.compile(r"per day", re.IGNORECASE),
        (ModelQuotaExhausted, "has used up its tokens of the day"),
    ),
    (
        ModelRejectedRequest,
        re.compile(
            # Claude says that the input or the prompt is too long, or that the two lengths exceed
            # the context limit; Nova, that input tokens are exceeded; Mistral, Llama, Qwen, GLM
            # and gpt-oss tell their maximum context length; Cohere finds too many tokens, Titan a
            # text over its maxLength, and Bedrock itself too many bytes.
            r"(?:input|prompt) is too long|exceeds? (?:the )?context|input tokens exceeded"
            r"|maximum context length|context window|too many tokens|expected maxlength"
            r"|too many total text bytes|reduce the length of",
            re.IGNORECASE,
        ),
        _TOO_LONG,
    ),
    (
        ModelRejectedRequest,
        re.compile(r"content filtering policy", re.IGNORECASE),
        (ContentFiltered, "refused the conversation by its content filter"),
    ),
    (
        ModelRejectedRequest,
        re.compile(
            r"model identifier is invalid|on-demand throughput|end of its life"
            r"|guardrail identifier or version",
            re.IGNORECASE,
        ),
        (ModelMisconfigured, "does not exist by this id: for many models it is a profile's"),
    ),
)
"""What an answer's text says beyond its code."""

_BEGINNING = 500
"""Characters of an error's text that are searched: what follows may echo the conversation."""

_BROKEN: tuple[tuple[tuple[type[Exception], ...], Diagnosis], ...] = (
    ((ReadTimeoutError, ConnectTimeoutError, urllib3.exceptions.TimeoutError), _LATE),
    (
        (CredentialRetrievalError, MetadataRetrievalError, TokenRetrievalError),
        (ModelUnavailable, "cannot be asked: AWS gave no credentials"),
    ),
    (
        (HTTPClientError, BotoConnectionError, urllib3.exceptions.HTTPError, OSError),
        (ModelUnavailable, "could not be reached, or the connection broke"),
    ),
    (
        (BotoCoreError,),
        (ModelMisconfigured, "cannot be asked: no AWS credentials, or wrong settings"),
    ),
    (
        # botocore takes an answer for what it should be and falls over what it is. These may quote.
        (ResponseParserError, ParserError, ValueError, TypeError, AttributeError, LookupError),
        (ModelReplyMalformed, "sent an answer that cannot be read"),
    ),
)

_RAISED = tuple(kind for kinds, _ in _BROKEN for kind in kinds)


@contextmanager
def failures_translated(source: str) -> Iterator[None]:
    """Turn what boto3 raises into the port's errors; `source` names who failed."""
    try:
        yield
    except ClientError as error:
        raise _answered(error, source) from error
    except _RAISED as error:
        kind, what = next(found for kinds, found in _BROKEN if isinstance(error, kinds))
        if kind is ModelReplyMalformed:
            error.args = ("not as it should be",)
        raise kind(f"{source} {what} ({type(error).__name__})") from error


def _answered(error: ClientError, source: str) -> LanguageModelError:
    """Say what an error that Bedrock sent means, and make it forget its text: that may quote."""
    fault, facts = error.response.get("Error", {}), error.response.get("ResponseMetadata", {})
    code = str(fault.get("Code", ""))
    text = str(fault.get("Message", ""))[:_BEGINNING]
    kind, what = _diagnosis(code[:1].upper() + code[1:], facts.get("HTTPStatusCode"), text)
    error.args = (code,)
    return kind(f"{source} {what} ({code}, request {facts.get('RequestId', 'unknown')})")


def _diagnosis(code: str, status: int | None, text: str) -> Diagnosis:
    found = _CODES.get(code) or _by_status(status)
    for kind, words, more in _WORDS:
        if found[0] is kind and words.search(text):
            return more
    return found


def _by_status(status: int | None) -> Diagnosis:
    if status is None or status not in _CLIENT_ERRORS:
        return _FAILED
    return _STATUSES.get(status, _REFUSED)
