"""Every language model keeps the contract: scripted, wrapped, in process, and over HTTP."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import xllamacpp

from embedded_aws.bedrock.model_behind import answered_by
from embedded_aws.loopback_server import Answerer
from prosa.adapters.bedrock.language_model import BedrockLanguageModel
from prosa.adapters.in_memory.language_model import ScriptedLanguageModel
from prosa.adapters.llama_cpp.language_model import LlamaCppLanguageModel
from prosa.adapters.llama_cpp.weights import demonstration_weights
from prosa.adapters.openai.language_model import OpenAILanguageModel
from prosa.adapters.resilience.circuit_breaker import CircuitBreaker
from prosa.adapters.resilience.error_table import Outcome
from prosa.adapters.resilience.language_model import (
    CircuitBrokenLanguageModel,
    FallbackLanguageModel,
    RetryingLanguageModel,
)
from prosa.adapters.resilience.retry_budget import RetryBudget
from prosa.application.ports.language_model import (
    ContextTooLong,
    LanguageModel,
    ModelMisconfigured,
    ModelRequest,
)
from prosa.application.ports.secret_store import Secret
from prosa.testing.language_model_contract import (
    LanguageModelContract,
    long_conversation,
    model_request,
)
from tests.adapters.bedrock.stub import answered_well, environment, running_stub
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


def breaker_of(name: str) -> CircuitBreaker:
    return CircuitBreaker(name, failures=5, rest_seconds=30.0, clock=now)


def broken(model: LanguageModel) -> CircuitBrokenLanguageModel:
    return CircuitBrokenLanguageModel(model, breaker_of(model.name), clock=now)


class TestCircuitBroken(LanguageModelContract):
    @pytest.fixture
    def model(self) -> LanguageModel:
        return broken(ScriptedLanguageModel(default=obliging))


class TestRetrying(LanguageModelContract):
    @pytest.fixture
    def model(self) -> LanguageModel:
        scripted = ScriptedLanguageModel(default=obliging)
        return RetryingLanguageModel(scripted, RetryBudget(), clock=now)


class TestFallbackOfOne(LanguageModelContract):
    @pytest.fixture
    def model(self) -> LanguageModel:
        healthy = broken(ScriptedLanguageModel(default=obliging))
        return FallbackLanguageModel(
            [RetryingLanguageModel(healthy, RetryBudget(), clock=now)], clock=now
        )


class TestFallbackPastAnOpenCircuit(LanguageModelContract):
    @pytest.fixture
    def model(self) -> LanguageModel:
        opened = breaker_of("gone")
        opened.record(opened.admit(), Outcome.HOPELESS)
        gone = CircuitBrokenLanguageModel(ScriptedLanguageModel(), opened, clock=now)
        healthy = broken(ScriptedLanguageModel(default=obliging))
        models = [RetryingLanguageModel(each, RetryBudget(), clock=now) for each in (gone, healthy)]
        return FallbackLanguageModel(models, clock=now)


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
        model = openai_model(f"{address}/v1", Secret(read=api_key))
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


class TestBedrock(LanguageModelContract):
    @pytest.fixture
    def otherwise(self) -> Answerer:
        return answered_well

    @pytest.fixture
    async def model(
        self, otherwise: Answerer, monkeypatch: pytest.MonkeyPatch
    ) -> AsyncIterator[LanguageModel]:
        async with running_stub(otherwise) as stub:
            for name, value in environment(stub.url).items():
                monkeypatch.setenv(name, value)
            model = BedrockLanguageModel(
                model="us.anthropic.claude-3-5-haiku-20241022-v1:0", clock=now
            )
            yield model
            await model.aclose()


class TestBedrockWithAModelBehindIt(TestBedrock):
    @pytest.fixture
    def otherwise(self) -> Answerer:
        return answered_by(ScriptedLanguageModel(default=obliging), clock=now)


def openai_model(base_url: str, key: Secret | None) -> OpenAILanguageModel:
    return OpenAILanguageModel(
        model="local",
        context_tokens=CONTEXT_TOKENS,
        clock=now,
        api_key=key,
        base_url=base_url,
    )
