"""A served app whose parts are in memory, and a client of it."""

from collections.abc import AsyncIterator

import httpx
import pytest

from prosa.adapters.in_memory.language_model import ScriptedLanguageModel
from tests.entrypoints.http.serving import InMemoryParts, parts_with, served


@pytest.fixture
def model() -> ScriptedLanguageModel:
    return ScriptedLanguageModel(default="Saiu hoje. Chega amanhã.")


@pytest.fixture
def elsewhere() -> bool:
    """Say whether turns run in a machine of their own."""
    return False


@pytest.fixture
def parts(model: ScriptedLanguageModel, *, elsewhere: bool) -> InMemoryParts:
    return parts_with(model, elsewhere=elsewhere)


@pytest.fixture
async def client(parts: InMemoryParts) -> AsyncIterator[httpx.AsyncClient]:
    async with served(parts) as client:
        yield client
