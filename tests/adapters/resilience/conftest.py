"""All tests here run in virtual time."""

from prosa.testing.virtual_time import pytest_asyncio_loop_factories

__all__ = ["pytest_asyncio_loop_factories"]
