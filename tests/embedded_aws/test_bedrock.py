"""The embedded Bedrock passes on what the model behind it does, and refuses what Bedrock would."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime

import pytest

from embedded_aws.bedrock.model_behind import answered_by, model_request
from embedded_aws.moto_server import own_client
from prosa.adapters.bedrock.language_model import BedrockLanguageModel
from prosa.adapters.bedrock.model_families import family_of
from prosa.adapters.bedrock.wire_format import converse_request
from prosa.adapters.in_memory.language_model import ScriptedLanguageModel, ScriptedReply
from prosa.application.ports.language_model import (
    ContextTooLong,
    LanguageModelError,
    ModelUnavailable,
    OnText,
)
from prosa.domain.content import Text, ToolCall, ToolResult
from prosa.domain.message import Role
from prosa.domain.reply import FinishReason, TokenUsage
from prosa.testing.language_model_contract import (
    YES_OR_NO,
    Listener,
    said,
)
from prosa.testing.language_model_contract import (
    model_request as prosas_request,
)
from tests.adapters.bedrock.stub import environment, running_stub

CLAUDE = "anthropic.claude-3-5-haiku-20241022-v1:0"


def now() -> datetime:
    return datetime.now(UTC)


@pytest.fixture
def behind() -> ScriptedLanguageModel:
    return ScriptedLanguageModel(default="Hello Ana.")


@pytest.fixture(autouse=True)
async def url(behind: ScriptedLanguageModel, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[str]:
    async with running_stub(answered_by(behind, now)) as stub:
        for name, value in environment(stub.url).items():
            monkeypatch.setenv(name, value)
        yield stub.url


@pytest.fixture
async def model() -> AsyncIterator[BedrockLanguageModel]:
    async with aclosing(BedrockLanguageModel(model=CLAUDE, clock=now)) as model:
        yield model


@pytest.fixture(params=[False, True], ids=["plain", "streamed"])
def on_text(request: pytest.FixtureRequest) -> OnText | None:
    return Listener() if request.param else None


async def test_the_model_sees_the_conversation_as_prosa_sent_it() -> None:
    call = ToolCall(id="call_1", name="find_order", arguments='{"number": 7}')
    sent = prosas_request(
        said(Role.USER, "Where is my order?"),
        said(Role.ASSISTANT, "I look it up.", call),
        said(Role.TOOL, ToolResult(call_id="call_1", content="On its way.")),
        said(Role.USER, "And?"),
        answer_format=YES_OR_NO,
    )
    body = converse_request(sent, model_id=CLAUDE, family=family_of(CLAUDE))
    received = model_request(json.loads(json.dumps(body)), now)
    assert received.instructions == sent.instructions
    assert received.utterances == sent.utterances
    assert received.max_output_tokens == sent.max_output_tokens
    assert received.temperature == sent.temperature
    assert received.answer_format is not None
    assert json.loads(received.answer_format.schema) == json.loads(YES_OR_NO.schema)


async def test_why_it_stopped_and_what_it_used_come_through(
    model: BedrockLanguageModel, behind: ScriptedLanguageModel, on_text: OnText | None
) -> None:
    usage = TokenUsage(input_tokens=30, output_tokens=7, cached_input_tokens=10)
    behind.script.append(
        ScriptedReply(parts=(Text(text="Hello"),), finish_reason=FinishReason.LENGTH, usage=usage)
    )
    reply = await model.generate(prosas_request(), on_text)
    assert reply.usage == usage
    assert reply.finish_reason is FinishReason.LENGTH


@pytest.mark.parametrize(
    ("failure", "seen"),
    [
        (ContextTooLong("too long"), ContextTooLong),
        (ModelUnavailable("down"), ModelUnavailable),
    ],
)
async def test_a_failure_before_the_first_word_is_an_error_of_bedrocks(
    model: BedrockLanguageModel,
    behind: ScriptedLanguageModel,
    on_text: OnText | None,
    failure: LanguageModelError,
    seen: type[LanguageModelError],
) -> None:
    behind.script.append(failure)
    with pytest.raises(seen):
        await model.generate(prosas_request(), on_text)


async def test_a_failure_amid_the_answer_breaks_the_stream_off(
    model: BedrockLanguageModel, behind: ScriptedLanguageModel
) -> None:
    behind.script.append(ScriptedReply(parts=(Text(text="Hello Ana."),), cut_after=5))
    listener = Listener()
    with pytest.raises(ModelUnavailable):
        await model.generate(prosas_request(), listener)
    assert "".join(listener.pieces) == "Hello"


async def test_other_content_and_other_operations_are_refused() -> None:
    await asyncio.to_thread(refusals)


def refusals() -> None:
    image = {"image": {"format": "png", "source": {"bytes": b"png"}}}
    with own_client("bedrock-runtime") as bedrock:
        errors = bedrock.exceptions
        with pytest.raises(errors.ValidationException, match="words and tools"):
            bedrock.converse(modelId=CLAUDE, messages=[{"role": "user", "content": [image]}])
        with pytest.raises(errors.ValidationException, match="start with a user message"):
            bedrock.converse(modelId=CLAUDE, messages=[])
        with pytest.raises(errors.ClientError, match="Only Converse"):
            bedrock.invoke_model(modelId=CLAUDE, body=b"{}")
