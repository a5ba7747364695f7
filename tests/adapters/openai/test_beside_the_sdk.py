"""Beside OpenAI's own SDK, the adapter sends what the SDK sends and reads what the SDK reads."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from functools import partial
from typing import Any

import pytest
from openai import AsyncOpenAI

from embedded_aws.loopback_server import LoopbackServer
from prosa.adapters.openai.language_model import OpenAILanguageModel
from prosa.application.ports.language_model import ModelRequest
from prosa.application.ports.secret_store import Secret
from prosa.domain.content import ToolCall, ToolResult, text_of
from prosa.domain.message import Role
from prosa.domain.reply import Reply
from prosa.testing.language_model_contract import YES_OR_NO, Listener, model_request, said
from tests.adapters.openai.provider import running_provider

KEY = "sk-of-the-tenant"
CALL = ToolCall(id="call_1", name="find_order", arguments='{"number": 7}')
REQUESTS = {
    "a conversation": partial(
        model_request,
        said(Role.USER, "Oi!"),
        said(Role.ASSISTANT, "Olá!"),
        said(Role.USER, "Cadê meu pedido?"),
    ),
    "a tool's result": partial(
        model_request,
        said(Role.USER, "Cadê meu pedido?"),
        said(Role.ASSISTANT, "Vou ver.", CALL),
        said(Role.TOOL, ToolResult(call_id="call_1", content="A caminho.")),
    ),
    "an answer by a schema": partial(
        model_request, said(Role.USER, "Sim?"), answer_format=YES_OR_NO
    ),
}
"""Made by each test, since they have a deadline."""


async def read_key() -> str:
    return KEY


@pytest.fixture
async def provider() -> AsyncIterator[LoopbackServer]:
    async with running_provider() as provider:
        yield provider


@pytest.fixture
async def model(provider: LoopbackServer) -> AsyncIterator[OpenAILanguageModel]:
    model = OpenAILanguageModel(
        model="gpt-4o-mini",
        context_tokens=128_000,
        clock=lambda: datetime.now(UTC),
        api_key=Secret(read=read_key),
        base_url=provider.url,
    )
    yield model
    await model.aclose()


@pytest.fixture
async def sdk(provider: LoopbackServer) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(api_key=KEY, base_url=provider.url, max_retries=0) as sdk:
        yield sdk


@pytest.fixture(params=REQUESTS)
def asked(request: pytest.FixtureRequest) -> ModelRequest:
    return REQUESTS[request.param]()


@pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])
async def test_the_sdk_sends_the_same(
    provider: LoopbackServer,
    model: OpenAILanguageModel,
    sdk: AsyncOpenAI,
    asked: ModelRequest,
    *,
    streamed: bool,
) -> None:
    await model.generate(asked, Listener() if streamed else None)
    ours = provider.requests[-1]
    # The SDK's own signature says which parameters there are: any other is a TypeError.
    arguments: dict[str, Any] = ours.body
    await sdk.chat.completions.create(**arguments)
    theirs = provider.requests[-1]
    assert len(provider.requests) == 2
    assert (ours.path, ours.body) == (theirs.path, theirs.body)
    for header in ("authorization", "content-type", "accept"):
        assert ours.headers[header] == theirs.headers[header]


async def test_the_sdk_reads_the_same_of_a_plain_answer(
    provider: LoopbackServer, model: OpenAILanguageModel, sdk: AsyncOpenAI, asked: ModelRequest
) -> None:
    reply = await model.generate(asked)
    arguments: dict[str, Any] = provider.requests[-1].body
    answer = await sdk.chat.completions.create(**arguments)
    [choice] = answer.choices
    assert text_of(reply.parts) == choice.message.content
    assert reply.finish_reason == choice.finish_reason
    assert counted(reply) == theirs_counted(answer.usage)


async def test_the_sdk_reads_the_same_of_a_streamed_answer(
    provider: LoopbackServer, model: OpenAILanguageModel, sdk: AsyncOpenAI, asked: ModelRequest
) -> None:
    listener = Listener()
    reply = await model.generate(asked, listener)
    arguments: dict[str, Any] = provider.requests[-1].body
    stream = await sdk.chat.completions.create(**arguments)
    chunks = [chunk async for chunk in stream]
    texts = [choice.delta.content for chunk in chunks for choice in chunk.choices]
    assert text_of(reply.parts) == "".join(text for text in texts if text)
    assert counted(reply) == theirs_counted(chunks[-1].usage)


def counted(reply: Reply) -> tuple[int, int, int]:
    usage = reply.usage
    return usage.input_tokens, usage.output_tokens, usage.cached_input_tokens


def theirs_counted(usage: Any) -> tuple[int, int, int]:  # noqa: ANN401 - the SDK's
    cached = usage.prompt_tokens_details.cached_tokens
    return usage.prompt_tokens, usage.completion_tokens, cached
