"""Bounds what waits for others by a number of seconds, in whose words whoever asks is told."""

import asyncio
from collections.abc import Callable
from types import TracebackType
from typing import Self, cast


class Limit:
    """Ends what runs within it after so many seconds, and raises what `late` makes.

    Who is cancelled by somebody else stays so, and a TimeoutError of something else stays one. As
    `asyncio.timeout`, at a third of its cost: a turn has half a dozen of them.
    """

    def __init__(self, seconds: float, late: Callable[[], Exception]) -> None:
        self._seconds = seconds
        self._late = late
        self._is_over = False

    async def __aenter__(self) -> Self:
        """Begin to count."""
        loop = asyncio.get_running_loop()
        self._task = cast("asyncio.Task[object]", asyncio.current_task(loop))
        self._cancelled_before = self._task.cancelling()
        self._timer = loop.call_later(self._seconds, self._interrupt)
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Raise what `late` makes, where the time was over."""
        self._timer.cancel()
        if not self._is_over:
            return
        interrupted = self._task.uncancel() <= self._cancelled_before
        if interrupted and exc_type is asyncio.CancelledError:
            raise self._late() from _timeout(exc)
        if isinstance(exc, TimeoutError):
            raise self._late() from exc

    def lift(self) -> None:
        """Let it take as long as it may, unless the time is over."""
        self._timer.cancel()

    def _interrupt(self) -> None:
        self._is_over = True
        self._task.cancel()


def _timeout(interruption: BaseException | None) -> TimeoutError:
    """Make what logs name as the cause."""
    timeout = TimeoutError()
    timeout.__cause__ = interruption
    return timeout
