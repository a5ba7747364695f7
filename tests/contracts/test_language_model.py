"""Every language model keeps the contract: scripted, in process, and two servers over HTTP."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import xllamacpp

from prosa.adapters.in_memory.language_model import ScriptedLanguageModel
from prosa.adapters.llama_cpp.language_model import LlamaCppLanguageModel
from prosa.adapters.llama_cpp.weights import demonstration_weights
from prosa.adapters.openai.language_model import ApiKey, OpenAILanguageModel
from prosa.application.ports.language_model import (
    ContextTooLong,
    LanguageModel,
    ModelMisconfigured,
    ModelRequest,
)
from prosa.testing.language_model_contract import (
    LanguageModelContract,
    long_conversation,
    model_request,
)
from tests.adapters.openai.provider import running_provider

CONTEXT_TOKENS = 512
SLOTS = 2
KEY = "a-key-for-the-loopback"


def now() -> datetime:
    return datetime.now(UTC)


async def api_key() -> str:
    return KEY


def weights() -> Path:
    path = demonstration_weights()
    assert path, "the weights are not installed: make install"
    return path


def obliging(request: ModelRequest) -> str:
    return '{"answer": "yes"}' if request.answer_format else "Hello Ana, good to see you."


class TestScripted(LanguageModelContract):
    @pytest.fixture
    def model(self) -> LanguageModel:
        return ScriptedLanguageModel(default=obliging)


@pytest.fixture(scope="module")
def loaded_model() -> Iterator[LlamaCppLanguageModel]:
    model = LlamaCppLanguageModel(
        model_path=weights(), clock=now, context_tokens=CONTEXT_TOKENS, slots=SLOTS, threads=1
    )
    yield model
    asyncio.run(model.aclose())


class TestLlamaCpp(LanguageModelContract):
    @pytest.fixture
    def model(self, loaded_model: LlamaCppLanguageModel) -> LanguageModel:
        return loaded_model


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    parameters = xllamacpp.CommonParams()
    parameters.model.path = str(weights())
    parameters.n_parallel = SLOTS
    parameters.n_ctx = CONTEXT_TOKENS * SLOTS
    parameters.cpuparams.n_threads = 1
    parameters.port = 0
    parameters.use_jinja = True
    parameters.warmup = False
    parameters.verbosity = -1
    parameters.api_keys = [KEY]
    server = xllamacpp.Server(parameters)
    yield server.listening_address
    del server


class TestOpenAIWithTheServerOfLlamaCpp(LanguageModelContract):
    @pytest.fixture
    async def model(self, address: str) -> AsyncIterator[LanguageModel]:
        model = openai_model(f"{address}/v1", api_key)
        yield model
        await model.aclose()

    async def test_a_wrong_key_is_a_wrong_setting(self, address: str) -> None:
        model = openai_model(f"{address}/v1", None)
        with pytest.raises(ModelMisconfigured):
            await model.generate(model_request())
        await model.aclose()

    async def test_a_conversation_that_does_not_fit_is_too_long(self, model: LanguageModel) -> None:
        with pytest.raises(ContextTooLong):
            await model.generate(model_request(*long_conversation(200)))


class TestOpenAIWithAProviderOfOurs(LanguageModelContract):
    @pytest.fixture
    async def model(self) -> AsyncIterator[LanguageModel]:
        async with running_provider() as provider:
            model = openai_model(provider.url, None)
            yield model
            await model.aclose()


def openai_model(base_url: str, key: ApiKey | None) -> OpenAILanguageModel:
    return OpenAILanguageModel(
        model="local",
        context_tokens=CONTEXT_TOKENS,
        clock=now,
        api_key=key,
        base_url=base_url,
    )
