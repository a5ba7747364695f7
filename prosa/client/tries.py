"""How long a call goes on trying, and the pauses in between."""

import random
import time
from collections.abc import Callable

from prosa.client.errors import ClientError, Conflict

DEFAULT_SECONDS = 60.0
DEFAULT_TRIES = 6

SILENCE_SECONDS = 30.0
"""A server answers within 25 s, and says something in a stream every 15 s: no more is to come."""

FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 8.0


class Tries:
    """The tries of one call: as many as `limit` that fail in a row, within `seconds`."""

    def __init__(
        self, seconds: float, limit: int, *, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._clock = clock
        self._ends_at = clock() + seconds
        self._limit = limit
        self._failed = 0

    @property
    def seconds_left(self) -> float:
        """What is left of the caller's time."""
        return self._ends_at - self._clock()

    @property
    def patience(self) -> float:
        """How long to wait, from now on, for anything to be heard."""
        return max(0.001, min(self.seconds_left, SILENCE_SECONDS))

    def require_time(self) -> None:
        """Raise TimeoutError where the caller's time is up."""
        if self.seconds_left <= 0:
            raise TimeoutError

    def succeeded(self) -> None:
        """Count from the start: what was asked for goes on."""
        self._failed = 0

    def pause_after(self, error: ClientError) -> float:
        """Say how long to pause before the next try, in seconds. Raises the error if it is final.

        To be told to wait for a turn that runs is no failure.
        """
        if not (isinstance(error, Conflict) and error.retryable):
            self._failed += 1
        pause = _pause(self._failed, error.retry_after)
        if not error.retryable or self._failed >= self._limit or pause >= self.seconds_left:
            raise error
        return pause


def _pause(failed: int, retry_after: float | None) -> float:
    """Spread what many clients do at once: to a fourth longer than asked, or anywhere in a span.

    https://aws.amazon.com/builders-library/timeouts-retries-and-backoff-with-jitter/
    """
    if retry_after is not None:
        return retry_after * random.uniform(1, 1.25)  # noqa: S311 - chance, no secret  # nosec B311
    longest = min(FIRST_PAUSE_SECONDS * 2.0 ** max(0, failed - 1), LONGEST_PAUSE_SECONDS)
    return random.uniform(0, longest)  # noqa: S311 - as above  # nosec B311
