"""An event loop on which waiting takes no time: the clock jumps to what is due next."""

import asyncio
import selectors
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from selectors import SelectorKey

NOON = datetime(2026, 3, 2, 12, tzinfo=UTC)


class _Jumping(selectors.DefaultSelector):
    """Instead of waiting, tells the loop that the time has passed."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[SelectorKey, int]]:
        ready = super().select(0)
        if not ready:
            assert timeout is not None, "everything waits for something that never comes"
            self.now += timeout
        return ready


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """Begins at second 0."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


def timer() -> float:
    """Tell the seconds since the test began."""
    return asyncio.get_running_loop().time()


def clock() -> datetime:
    """Tell the instant: noon, and the seconds since the test began."""
    return NOON + timedelta(seconds=timer())


def factories() -> Mapping[str, type[VirtualTimeLoop]]:
    """Give what pytest-asyncio makes the loops of tests with."""
    return {"virtual": VirtualTimeLoop}
