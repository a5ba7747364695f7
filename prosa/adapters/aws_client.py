"""Calls of AWS, off the event loop: a boto3 client with threads of its own that repeats nothing."""

import asyncio
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from enum import Enum, auto
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:  # an extra, and 0.1 s to load
    from botocore.client import BaseClient

Service = Literal["events", "secretsmanager", "sqs", "ssm", "stepfunctions"]
"""What boto3 calls the services that are called from here."""

THREADS = 2
"""Of each client: who calls often keeps his connections, and a service that hangs holds no more."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeLimits:
    """Seconds: to connect, until the next bytes of an answer, and for a call as a whole.

    The whole includes the wait for a thread and for credentials. Only it bounds a server that
    sends a byte now and then.
    """

    connect: float = 3.0
    read: float = 5.0
    call: float = 10.0


class FailureKind(Enum):
    """What went wrong with a call."""

    DENIED = auto()
    """The process has no credentials or region, wrong ones, or not the permission."""
    MISSING = auto()
    """What the call is about does not exist."""
    REFUSED = auto()
    """AWS will never do what was asked."""
    AWAY = auto()
    """AWS cannot be reached, is overloaded or failed: the same call may succeed later."""


class AwsFailure(Exception):
    """A call failed. `code` is AWS's own, or the name of what boto3 raised: never contents."""

    def __init__(self, kind: FailureKind, code: str) -> None:
        super().__init__(code)
        self.kind = kind
        self.code = code


class AwsClient:
    """Calls one service. boto3 is loaded, and credentials are looked up, at the first call.

    Where and as whom is what the environment says, as for every AWS SDK: `AWS_REGION`, a role or
    keys, `AWS_ENDPOINT_URL`. Close it with `close`.
    """

    def __init__(self, service: Service, limits: TimeLimits) -> None:
        self._service = service
        self._limits = limits
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix=f"aws_{service}")
        self._making = threading.Lock()
        self._made: BaseClient | None = None
        self._closed = False

    async def call(self, operation: str, **arguments: object) -> Mapping[str, Any]:
        """Call an operation by its name in boto3, once. Raises AwsFailure.

        A call whose caller gave up may still be made, or have been.
        """
        call = partial(self._call, operation, arguments)
        try:
            async with asyncio.timeout(self._limits.call):
                return await asyncio.get_running_loop().run_in_executor(self._threads, call)
        except TimeoutError as error:
            raise AwsFailure(FailureKind.AWAY, "no answer in time") from error

    def close(self) -> None:
        """Close the connections; calls that are under way end by themselves, and none is begun.

        One that has yet to make its client is not under way: it may have been given up long ago.
        """
        self._closed = True
        self._threads.shutdown(wait=False, cancel_futures=True)
        if self._made is not None:
            self._made.close()

    def _call(self, operation: str, arguments: Mapping[str, object]) -> Mapping[str, Any]:
        """Call in one of the threads."""
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415  an extra
        from botocore.parsers import ResponseParserError  # noqa: PLC0415  an extra

        try:
            answer: Mapping[str, Any] = getattr(self._client(), operation)(**arguments)
        except ClientError as error:
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            code = error.response.get("Error", {}).get("Code", "")
            raise AwsFailure(_kind(code, status), code or f"HTTP {status}") from error
        except ResponseParserError:
            # Its text quotes the answer, and an answer may be a secret.
            raise AwsFailure(FailureKind.AWAY, "an answer that cannot be read") from None
        except (BotoCoreError, OSError) as error:
            name = type(error).__name__
            kind = FailureKind.DENIED if name in _NOBODY else FailureKind.AWAY
            raise AwsFailure(kind, name) from error
        return answer

    def _client(self) -> "BaseClient":
        """Make the client once; making one is nothing that two threads may do at a time."""
        with self._making:
            if self._made is None:
                self._made = _client(self._service, self._limits)
            if self._closed:
                self._made.close()
                raise AwsFailure(FailureKind.AWAY, "closed before it was asked")
            return self._made


def _client(service: Service, limits: TimeLimits) -> "BaseClient":
    # Not boto3: all that it has more is managers of transfers and resources, which nobody uses.
    from botocore.config import Config  # noqa: PLC0415  an extra, and slow to load
    from botocore.session import get_session  # noqa: PLC0415  as above

    config = Config(
        connect_timeout=limits.connect,
        read_timeout=limits.read,
        max_pool_connections=THREADS,
        # Whoever calls from here tries again by himself, and knows for how long that makes sense.
        retries={"total_max_attempts": 1, "mode": "standard"},
    )
    return get_session().create_client(service, config=config)


# https://docs.aws.amazon.com/eventbridge/latest/APIReference/CommonErrors.html and its like.
_DENIED = frozenset(
    {
        "AccessDenied",
        "AccessDeniedException",
        "ExpiredToken",
        "ExpiredTokenException",
        "IncompleteSignature",
        "IncompleteSignatureException",
        "InvalidClientTokenId",
        "InvalidSignatureException",
        "MissingAuthenticationToken",
        "MissingAuthenticationTokenException",
        "NotAuthorized",
        "OptInRequired",
        "SignatureDoesNotMatch",
        "UnrecognizedClientException",
    }
)
_MISSING = frozenset(
    {
        "AWS.SimpleQueueService.NonExistentQueue",
        "ParameterNotFound",
        "ParameterVersionNotFound",
        "QueueDoesNotExist",
        "ResourceNotFoundException",
        "StateMachineDoesNotExist",
    }
)
_OVERLOADED = frozenset(
    {
        "ExecutionLimitExceeded",
        "LimitExceededException",
        "RequestExpired",
        "RequestLimitExceeded",
        "Throttling",
        "ThrottledException",
        "ThrottlingException",
        "TooManyRequestsException",
    }
)
_NOBODY = frozenset(
    {
        "InvalidRegionError",
        "NoCredentialsError",
        "NoRegionError",
        "PartialCredentialsError",
        "ProfileNotFound",
    }
)
"""What boto3 raises, before anything is sent, where it does not know who calls or where to."""

_CLIENT_ERRORS = range(400, 500)
_TRY_AGAIN = frozenset({408, 429})


def _kind(code: str, status: int) -> FailureKind:
    if code in _DENIED:
        return FailureKind.DENIED
    if code in _MISSING:
        return FailureKind.MISSING
    if code in _OVERLOADED or status in _TRY_AGAIN or status not in _CLIENT_ERRORS:
        return FailureKind.AWAY
    return FailureKind.REFUSED
