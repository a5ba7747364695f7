"""All tests here run in virtual time."""

from collections.abc import Mapping

import pytest

from tests.adapters.resilience.virtual_time import VirtualTimeLoop, factories


def pytest_asyncio_loop_factories(
    config: pytest.Config, item: pytest.Item
) -> Mapping[str, type[VirtualTimeLoop]]:
    """Run each test on a loop of its own."""
    del config, item
    return factories()
