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
def parts(model: ScriptedLanguageModel) -> InMemoryParts:
    return parts_with(model)


@pytest.fixture
async def client(parts: InMemoryParts) -> AsyncIterator[httpx.AsyncClient]:
    async with served(parts) as client:
        yield client
