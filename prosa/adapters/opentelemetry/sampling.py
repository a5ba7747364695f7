"""Which traces are begun where OTEL_TRACES_SAMPLER does not say: so many a second."""

import time
from collections.abc import Callable
from typing import Final

TRACES_A_SECOND: Final = 1.0
TRACES_AT_ONCE: Final = 10
"""A trace about doubles what its turn costs. So of a thousand turns a second, one is kept; and of
those that a developer makes by hand, every one."""


class TraceBudget:
    """Allows traces up to a rate; what was not used is saved up, as far as `at_once`.

    It is asked before OpenTelemetry is, whose samplers cost ten times as much.
    """

    def __init__(
        self,
        rate: float = TRACES_A_SECOND,
        at_once: float = TRACES_AT_ONCE,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        """`timer` counts seconds."""
        self._rate = rate
        self._at_once = at_once
        self._timer = timer
        self._left = at_once
        self._counted_at = timer()

    def spend(self) -> bool:
        """Take a trace, if one is left."""
        now = self._timer()
        self._left = min(self._at_once, self._left + (now - self._counted_at) * self._rate)
        self._counted_at = now
        if self._left < 1:
            return False
        self._left -= 1
        return True
