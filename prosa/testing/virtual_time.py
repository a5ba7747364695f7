"""An event loop on which waiting takes no time: the clock jumps to what is due next.

For all tests of a folder, in its `conftest.py`:

    from prosa.testing.virtual_time import pytest_asyncio_loop_factories

For one test: `with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner`. Such a loop waits for
nothing but time: no sockets, threads or other processes.
"""

import asyncio
import selectors
from collections.abc import Mapping
from datetime import datetime, timedelta
from selectors import SelectorKey

import pytest

from prosa.testing.builders import NOON


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
    """Begins at second 0. A test in which all waits for ever fails at once."""

    def __init__(self) -> None:
        self._jumping = _Jumping()
        super().__init__(self._jumping)

    def time(self) -> float:
        """Tell the seconds since the loop was made."""
        return self._jumping.now


def timer() -> float:
    """Tell the seconds since the running loop was made."""
    return asyncio.get_running_loop().time()


def clock() -> datetime:
    """Tell the instant: NOON, and the seconds since the running loop was made."""
    return NOON + timedelta(seconds=timer())


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, type[VirtualTimeLoop]]:
    """Run each test on a loop of its own, in virtual time: pytest-asyncio's hook."""
    del config, item
    return {"virtual": VirtualTimeLoop}
