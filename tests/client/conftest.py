"""A client of each kind, a network, and a real server with everything in memory behind it."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
import pytest_asyncio
from fastapi import FastAPI

from prosa.adapters.in_memory.language_model import ScriptedLanguageModel
from prosa.client import AsyncClient
from prosa.entrypoints.http.parts import serve_by, serving_by
from tests.client.both import Kind, Pauses, a_client
from tests.client.network import Network, network_to
from tests.entrypoints.http.serving import InMemoryParts, app_of, parts_with, served_on_loopback

# A line separator is a letter in JSON, and no end of a line in a stream.
REPLY = "Olá, Ana! Saiu hoje.\u2028Chega amanhã, às 10h. Mais alguma coisa?"


@pytest.fixture(params=["asynchronous", "synchronous"])
def kind(request: pytest.FixtureRequest) -> Kind:
    kind: Kind = request.param
    return kind


@pytest.fixture
def model() -> ScriptedLanguageModel:
    return ScriptedLanguageModel(default=REPLY)


@pytest.fixture
def parts(model: ScriptedLanguageModel) -> InMemoryParts:
    return parts_with(model)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def served() -> AsyncIterator[tuple[FastAPI, int]]:
    """Serve an app by a real server, for all tests of a module: to stop one takes a while."""
    app = app_of(parts_with())
    async with served_on_loopback(app) as server:
        port = server.base_url.port
        assert port is not None
        yield app, port


@pytest_asyncio.fixture(loop_scope="module")
async def network(served: tuple[FastAPI, int], parts: InMemoryParts) -> AsyncIterator[Network]:
    """Connect to the server, which has this test's parts."""
    app, port = served
    serve_by(app, replace(serving_by(app), parts=parts))
    async with network_to(port) as network:
        yield network


@pytest.fixture
def pauses() -> Pauses:
    return Pauses()


@pytest_asyncio.fixture(loop_scope="module")
async def client(kind: Kind, network: Network, pauses: Pauses) -> AsyncIterator[AsyncClient]:
    async with a_client(kind, network.url, pauses) as client:
        yield client
