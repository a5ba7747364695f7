"""What the container of a function keeps: one event loop, and what was opened in it."""

import asyncio
import gc
import logging
import os
import signal
from collections.abc import Callable, Coroutine, Iterator
from contextlib import AbstractAsyncContextManager, contextmanager
from functools import cache
from types import FrameType
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    from prosa.adapters.opentelemetry.telemetry import Telemetry
    from prosa.bootstrap import App
    from prosa.settings import Settings

SPARE_SECONDS = 2.0
"""How much of an invocation's time is kept, to say what came of it before Lambda ends it."""

SECONDS_TO_GIVE_UP = 2.5
"""How long turns that run when the time is up may take to store that they failed."""

TELEMETRY_SECONDS = 0.5
"""How long the end of an invocation waits for what it saw to be sent."""

_ROUNDS_TO_CATCH_UP = 8
"""Of the loop: what came is read in one, the end behind it in the next, and is told in a third.

TLS takes one more for each. All of them together cost a tenth of a millisecond.
"""

T = TypeVar("T")
R = TypeVar("R")


class InvocationContext(Protocol):
    """What Lambda tells of an invocation: its runtime's `LambdaContext` has it."""

    def get_remaining_time_in_millis(self) -> int:
        """Tell after how many milliseconds Lambda ends it."""


Handler = Callable[[Any, Any], object]
"""Takes an event, as its JSON was read, and an InvocationContext; returns what becomes JSON."""

Work = Callable[[Any, float], Coroutine[Any, Any, object]]
"""Does the work of an invocation, given its event and the seconds that it may take."""


class Container(Generic[T]):
    """Opens something once, in the one event loop in which all invocations work with it.

    Clients and pools belong to a loop: they would break where each invocation had a loop of its
    own. Between invocations, and after the last one, Lambda freezes the process; nothing may be
    left to be done then.
    """

    def __init__(self, opening: AbstractAsyncContextManager[T]) -> None:
        """Raise what `opening` raises."""
        self._opening = opening
        self._runner = asyncio.Runner()
        try:
            self.opened = self._runner.run(opening.__aenter__())
        except BaseException:
            self._runner.close()
            raise
        signal.signal(signal.SIGTERM, self._end)

    def run(self, work: Coroutine[Any, Any, R]) -> R:
        """Do the work of an invocation. Raises what it raises."""
        self._runner.run(catch_up())
        return self._runner.run(_then_telemetry(work, self.opened))

    def close(self) -> None:
        """Close what was opened, and the loop."""
        self._runner.run(_closing(self._opening))
        self._runner.close()

    def _end(self, number: int, _frame: FrameType | None) -> None:
        """Close, and end as the signal would have it.

        Lambda sends it between two invocations, and only where the function has an extension.
        Amid one it ends the process at once, which turns survive as they do any crash.
        """
        if not self._runner.get_loop().is_running():
            self.close()
        signal.signal(number, signal.SIG_DFL)
        os.kill(os.getpid(), number)


async def _then_telemetry(work: Coroutine[Any, Any, R], opened: object) -> R:
    try:
        return await work
    finally:
        await send_telemetry(opened)


async def send_telemetry(opened: object) -> None:
    """Send what was seen, if anything is: between invocations nothing would be sent.

    A collector that hangs is waited for a short while, and not again while it hangs.
    """
    telemetry: Telemetry | None = getattr(opened, "telemetry", None)
    if telemetry is not None:
        await telemetry.flush(TELEMETRY_SECONDS)


async def catch_up() -> None:
    """Learn what happened while nothing ran, as connections that were closed meanwhile.

    Otherwise the first statement would be sent to a database that has long hung up.
    """
    for _ in range(_ROUNDS_TO_CATCH_UP):
        await asyncio.sleep(0)


async def _closing(opened: AbstractAsyncContextManager[Any]) -> None:
    await opened.__aexit__(None, None, None)


def opened_when_asked_for(open_handler: Callable[[], Handler]) -> Callable[[str], Handler]:
    """Give a module a `__getattr__` (PEP 562) that opens its `handler` and keeps it.

    Lambda's runtime asks for it while it initialises, so that no customer waits for the opening,
    and what goes wrong is told as an error of the initialisation. An import alone opens nothing,
    and loads next to nothing: `open_handler` does.
    """

    @cache
    def opened() -> Handler:
        with _collector_at_rest():
            return open_handler()

    def find(name: str) -> Handler:
        if name != "handler":
            raise AttributeError(f"this module has no {name!r}; it has a handler")
        return opened()

    return find


def opened_with_application(prepare: "Callable[[App], Work]") -> Callable[[str], Handler]:
    """Give a module a `__getattr__` as above, for work with the whole application.

    Nobody asks for it with a token. Of each invocation's time so much is kept that turns which run
    when it is up can be stored as failed.
    """

    def open_handler() -> Handler:
        from prosa.bootstrap import bootstrap  # noqa: PLC0415 - loaded while the collector rests

        container = Container(bootstrap(read_settings_behind_the_door()))
        work = prepare(container.opened)

        def invoke(event: object, context: InvocationContext) -> object:
            seconds = seconds_to_use(context, SPARE_SECONDS + SECONDS_TO_GIVE_UP)
            return container.run(work(event, seconds))

        return invoke

    return opened_when_asked_for(open_handler)


@contextmanager
def _collector_at_rest() -> Iterator[None]:
    """Have the garbage collector leave alone what is loaded within the block, and for ever.

    All of it lasts. To walk it again and again was a fifth of a cold start.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def read_settings() -> "Settings":
    """Read the settings, and set the levels of logging by them. Raises ConfigurationError.

    The runtime has said already where lines go, and adds the invocation's id to each. Where it
    writes JSON, they have those of their trace and turn, too. Of other packages only warnings are
    shown, whatever the level: they may write down messages.
    """
    from prosa.bootstrap import secrets  # noqa: PLC0415 - loaded while the collector rests
    from prosa.entrypoints.logs import Context  # noqa: PLC0415 - as above

    for handler in logging.getLogger().handlers:
        handler.addFilter(Context())
    settings = secrets.read_settings()
    logging.getLogger().setLevel(logging.WARNING)
    logging.getLogger("prosa").setLevel(settings.log_level)
    return settings


def read_settings_behind_the_door() -> "Settings":
    """Read the settings of a function that nobody asks with a token, as `read_settings` does.

    What would check tokens is not opened: whoever invokes it was let in by AWS.
    """
    return read_settings().model_copy(update={"auth": "none"})


def seconds_to_use(context: InvocationContext, spare_seconds: float = SPARE_SECONDS) -> float:
    """Tell how long an invocation may work; the rest of its time is kept."""
    return max(0.0, context.get_remaining_time_in_millis() / 1000 - spare_seconds)
