"""What a task reports of an error, its class and no words of anybody's, and how it is read."""

import asyncio
import logging
import traceback
from collections.abc import Awaitable

from prosa.application.ports.guardrail import GuardrailError
from prosa.application.ports.language_model import (
    CircuitOpen,
    ContentFiltered,
    ContextTooLong,
    ModelMisconfigured,
    ModelQuotaExhausted,
    ModelRateLimited,
    ModelRejectedRequest,
    ModelReplyMalformed,
    ModelTimedOut,
    ModelUnavailable,
)
from prosa.application.ports.secret_store import SecretUnavailable
from prosa.application.ports.unit_of_work import (
    CommitUnknown,
    StorageUnavailable,
    VersionConflict,
)
from prosa.domain.errors import DeadlineExceeded, PromptNotFound, ProsaError, TurnWithoutReply

logger = logging.getLogger(__name__)

_KINDS: dict[str, type[BaseException]] = {
    kind.__name__: kind
    for kind in (
        CircuitOpen,
        CommitUnknown,
        ContentFiltered,
        ContextTooLong,
        DeadlineExceeded,
        GuardrailError,
        ModelMisconfigured,
        ModelQuotaExhausted,
        ModelRateLimited,
        ModelRejectedRequest,
        ModelReplyMalformed,
        ModelTimedOut,
        ModelUnavailable,
        PromptNotFound,
        SecretUnavailable,
        StorageUnavailable,
        TurnWithoutReply,
        VersionConflict,
    )
}
_KINDS |= dict.fromkeys(("States.Timeout", "Sandbox.Timedout"), DeadlineExceeded)

_FROM_LAMBDA = "Lambda."


class UnexpectedError(Exception):
    """A bug: says of which class, since what such an error says may quote a customer."""


async def reporting(step: Awaitable[None]) -> None:
    """Take a step; of its errors, only those leave whose words are ours.

    AWS Lambda reports an error's class as `errorType`, by which a workflow knows it, and what it
    says as `errorMessage`, which anybody reads who may look at an execution.
    """
    try:
        await step
    except ProsaError:
        raise
    except Exception as error:  # noqa: BLE001 - what is not ours is not reported as it is
        where = "".join(traceback.format_tb(error.__traceback__))
        logger.error("a step failed of %s\n%s", type(error).__name__, where)  # noqa: TRY400 - a traceback ends in what it says
        raise UnexpectedError(type(error).__name__) from None


def kind_of(error: str) -> type[BaseException]:
    """Find the class of an error by what a workflow calls it; Exception where it is none of ours.

    Where it was Lambda that failed, the step was interrupted.
    """
    if error.startswith(_FROM_LAMBDA):
        return asyncio.CancelledError
    return _KINDS.get(error, Exception)
