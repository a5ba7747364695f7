"""Every point at which a process may be killed, by name; and how a process kills itself at one.

A point is before or after something that others see: a commit, a call to a model, a publishing, the
marking of what was published. Between two points nothing happens that outlives the process.
"""

import itertools
import os
import signal
from collections.abc import Awaitable, Callable
from contextvars import ContextVar
from typing import Any

from prosa.adapters.log.event_bus import LogEventBus
from prosa.adapters.openai.language_model import OpenAILanguageModel
from prosa.adapters.sql.outbox import SqlOutbox
from prosa.adapters.sql.unit_of_work import SqlUnitOfWork
from prosa.application.recover_turns import RecoverTurns
from prosa.domain import events as happened

COMMITS = (
    "start",
    "claim",
    "claim of a retry",
    "record",
    "fail",
    "close",
    "recovery's claim",
    "recovery's fail",
)
OTHERS = ("model call", "publish", "settle")
POINTS = tuple(f"{side} {what}" for what in (*COMMITS, *OTHERS) for side in ("before", "after"))

NOWHERE = "nowhere"
"""For a process that is not to be killed."""

Method = Callable[..., Awaitable[Any]]


def die_at(point: str, passing: int) -> None:
    """Have this process kill itself when it comes to the point for the so-manieth time."""
    if point != NOWHERE and point not in POINTS:
        raise ValueError(f"there is no point {point!r}; there are {', '.join(POINTS)}")
    count = itertools.count(1)

    def come_to(reached: str) -> None:
        if reached == point and next(count) == passing:
            os.kill(os.getpid(), signal.SIGKILL)

    _wrap(SqlUnitOfWork, "commit", come_to, _commit_of)
    _wrap(OpenAILanguageModel, "generate", come_to, lambda _: "model call")
    _wrap(LogEventBus, "publish", come_to, lambda _: "publish")
    _wrap(SqlOutbox, "settle", come_to, lambda _: "settle")
    _wrap(RecoverTurns, "__call__", _note_recovery, lambda _: "recovery")


def _wrap(
    kind: type, name: str, come_to: Callable[[str], None], tell: Callable[[Any], str]
) -> None:
    """Put points around a method of a part; `tell` says what it is about to do."""
    method: Method = getattr(kind, name)

    async def wrapped(self: object, *args: object, **kwargs: object) -> object:
        what = tell(self)
        come_to(f"before {what}")
        result = await method(self, *args, **kwargs)
        come_to(f"after {what}")
        return result

    setattr(kind, name, wrapped)


_RECOVERING: ContextVar[bool] = ContextVar("recovering", default=False)
"""Whether the task is one of recovery's own, and no request's."""


def _note_recovery(reached: str) -> None:
    _RECOVERING.set(reached == "before recovery")


def _commit_of(work: SqlUnitOfWork) -> str:
    """Name a commit by the last event that it writes."""
    pending = work.conversations._pending
    written = pending[1].changes.events[-1:] if pending else []
    recovering = _RECOVERING.get()
    match written:
        case [happened.TurnCompleted()]:
            name = "record"
        case [happened.TurnFailed()]:
            name = "recovery's fail" if recovering else "fail"
        case [happened.TurnStarted(attempt=1)]:
            name = "claim"
        case [happened.TurnStarted()]:
            name = "recovery's claim" if recovering else "claim of a retry"
        case [happened.ConversationClosed()]:
            name = "close"
        case _:
            name = "start"
    return name
