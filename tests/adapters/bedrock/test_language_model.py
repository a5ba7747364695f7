"""What is particular to Bedrock: what is sent, what comes back, and each way in which it fails."""

import asyncio
import json
import threading
import time
import traceback
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import pytest_asyncio

from embedded_aws.bedrock.wire_format import (
    STREAM_HEAD,
    asked_for,
    converse_answer,
    delta,
    ended,
    error,
    event,
    event_stream,
    frame,
    json_answer,
    operation,
    stream_exception,
    text_delta,
    tool_use,
)
from embedded_aws.bedrock.wire_format import said as said_events
from embedded_aws.loopback_server import (
    CLOSE,
    HANG,
    LAST_CHUNK,
    Json,
    LoopbackServer,
    Step,
    chunked,
    response,
)
from prosa.adapters.bedrock.language_model import BedrockLanguageModel
from prosa.adapters.bedrock.runtime import EVENTS_AHEAD
from prosa.adapters.bedrock.wire_format import GuardrailReference
from prosa.application.ports.language_model import (
    ContentFiltered,
    ContextTooLong,
    LanguageModelError,
    ModelMisconfigured,
    ModelQuotaExhausted,
    ModelRateLimited,
    ModelRejectedRequest,
    ModelReplyMalformed,
    ModelTimedOut,
    ModelUnavailable,
    OnText,
)
from prosa.domain.content import Text, ToolCall, ToolResult, text_of
from prosa.domain.errors import ConfigurationError
from prosa.domain.identifiers import TenantId, TurnId
from prosa.domain.message import Role, Utterance
from prosa.domain.reply import FinishReason, TokenUsage
from prosa.testing.language_model_contract import YES_OR_NO, Listener, model_request, said
from tests.adapters.bedrock.stub import TEXT, WORDS, environment, running_stub

CLAUDE = "us.anthropic.claude-3-5-haiku-20241022-v1:0"
LLAMA = "meta.llama3-1-8b-instruct-v1:0"
QWEN = "qwen.qwen3-coder-30b-a3b-v1:0"
TITAN = "amazon.titan-text-express-v1"
SOON = 3.0

CALL = ToolCall(id="call_1", name="find_order", arguments='{"number": 7}')
RESULT = ToolResult(call_id="call_1", content="On its way.")
WITH_TOOLS = (
    said(Role.USER, "Where is ", "my order?"),
    said(Role.ASSISTANT, "I look it up.", CALL),
    said(Role.TOOL, RESULT),
    said(Role.USER, "And?"),
)


def now() -> datetime:
    return datetime.now(UTC)


# One stub and one loop for all tests, because a client takes far longer to make than to use.
pytestmark = pytest.mark.asyncio(loop_scope="module")

Opened = Callable[[str], BedrockLanguageModel]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def running() -> AsyncIterator[LoopbackServer]:
    with pytest.MonkeyPatch.context() as patch:
        async with running_stub() as stub:
            for name, value in environment(stub.url).items():
                patch.setenv(name, value)
            yield stub


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def opened(running: LoopbackServer) -> AsyncIterator[Opened]:
    """Give models by their ids, each of which is made once."""
    assert running.url
    models: dict[str, BedrockLanguageModel] = {}

    def open_model(model: str) -> BedrockLanguageModel:
        return models.setdefault(model, BedrockLanguageModel(model=model, clock=now, threads=4))

    yield open_model
    for model in models.values():
        await model.aclose()


@pytest.fixture
def stub(running: LoopbackServer) -> LoopbackServer:
    running.forget()
    return running


@pytest.fixture
def model(opened: Opened) -> BedrockLanguageModel:
    return opened(CLAUDE)


@pytest_asyncio.fixture(loop_scope="module")
async def new_model(stub: LoopbackServer) -> AsyncIterator[BedrockLanguageModel]:
    """Make a model that has not been opened, with one thread to lose."""
    assert stub.url
    model = BedrockLanguageModel(model=CLAUDE, clock=now, threads=1)
    yield model
    await model.aclose()


@pytest.fixture(params=[False, True], ids=["plain", "streamed"])
def on_text(request: pytest.FixtureRequest) -> OnText | None:
    return Listener() if request.param else None


async def sent_by(
    model: BedrockLanguageModel, stub: LoopbackServer, *conversation: Utterance
) -> list[Json]:
    await model.generate(model_request(*conversation))
    messages: list[Json] = stub.requests[-1].body["messages"]
    return messages


class TestWhatIsSent:
    async def test_a_plain_call_says_only_what_it_must(
        self, stub: LoopbackServer, model: BedrockLanguageModel
    ) -> None:
        await model.generate(model_request())
        received = stub.requests[0]
        assert operation(received) == "converse"
        assert asked_for(received) == CLAUDE
        assert received.body == {
            "system": [{"text": "You are a friendly assistant. Answer briefly."}],
            "messages": [
                {"role": "user", "content": [{"text": "Say hello to Ana in one short sentence."}]}
            ],
            "inferenceConfig": {"maxTokens": 8, "temperature": 0.0},
            "requestMetadata": {"tenant": "default"},
        }

    async def test_a_streamed_call_sends_the_same(
        self, stub: LoopbackServer, model: BedrockLanguageModel
    ) -> None:
        await model.generate(model_request())
        await model.generate(model_request(), Listener())
        assert operation(stub.requests[1]) == "converse-stream"
        assert stub.requests[1].body == stub.requests[0].body

    async def test_roles_take_turns_and_the_customer_begins(
        self, stub: LoopbackServer, model: BedrockLanguageModel
    ) -> None:
        messages = await sent_by(
            model,
            stub,
            said(Role.AGENT, "I take over."),
            said(Role.USER, " "),
            said(Role.USER, "One."),
            said(Role.USER, "Two."),
            said(Role.ASSISTANT, "Yes."),
            said(Role.ASSISTANT, " \n"),
            said(Role.AGENT, "Surely."),
            said(Role.USER, "Three."),
        )
        assert messages == [
            {"role": "user", "content": [{"text": "One."}, {"text": "Two."}]},
            {"role": "assistant", "content": [{"text": "Yes."}, {"text": "Surely."}]},
            {"role": "user", "content": [{"text": "Three."}]},
        ]

    async def test_tools_stand_in_the_conversation_as_what_they_are(
        self, stub: LoopbackServer, model: BedrockLanguageModel
    ) -> None:
        messages = await sent_by(model, stub, *WITH_TOOLS)
        used = tool_use("find_order", {"number": 7}, "call_1")
        result = {"toolUseId": "call_1", "content": [{"text": "On its way."}]}
        assert messages == [
            {"role": "user", "content": [{"text": "Where is my order?"}]},
            {"role": "assistant", "content": [{"text": "I look it up."}, used]},
            {"role": "user", "content": [{"toolResult": result}, {"text": "And?"}]},
        ]
        spec = {"name": "find_order", "inputSchema": {"json": {"type": "object"}}}
        assert stub.requests[0].body["toolConfig"] == {"tools": [{"toolSpec": spec}]}

    @pytest.mark.parametrize("arguments", ["", "[1]", "{"])
    async def test_arguments_that_are_no_object_are_passed_on_in_one(
        self, stub: LoopbackServer, model: BedrockLanguageModel, arguments: str
    ) -> None:
        call = replace(CALL, arguments=arguments)
        messages = await sent_by(
            model, stub, said(Role.USER, "?"), said(Role.ASSISTANT, call), said(Role.TOOL, RESULT)
        )
        assert messages[1]["content"][0]["toolUse"]["input"] == {"arguments": arguments}

    async def test_an_empty_result_is_sent_as_words(
        self, stub: LoopbackServer, model: BedrockLanguageModel
    ) -> None:
        nothing = replace(RESULT, content=" ")
        messages = await sent_by(
            model, stub, said(Role.USER, "?"), said(Role.ASSISTANT, CALL), said(Role.TOOL, nothing)
        )
        assert messages[2]["content"][0]["toolResult"]["content"] == [{"text": "(nothing)"}]

    async def test_a_call_without_a_result_is_told_in_words(
        self, stub: LoopbackServer, model: BedrockLanguageModel
    ) -> None:
        messages = await sent_by(
            model, stub, said(Role.USER, "?"), said(Role.ASSISTANT, CALL), said(Role.USER, "Well?")
        )
        asked = '[The tool find_order is asked: {"number": 7}]'
        assert messages[1]["content"] == [{"text": asked}]
        assert "toolConfig" not in stub.requests[0].body

    async def test_a_family_without_tools_is_told_of_them_in_words(
        self, stub: LoopbackServer, opened: Opened
    ) -> None:
        messages = await sent_by(opened(TITAN), stub, *WITH_TOOLS)
        assert messages[2]["content"][0] == {"text": "[A tool answered: On its way.]"}
        assert "toolConfig" not in stub.requests[0].body

    async def test_a_family_that_cannot_stream_with_tools_is_asked_plainly(
        self, stub: LoopbackServer, opened: Opened
    ) -> None:
        listener = Listener()
        await opened(LLAMA).generate(model_request(*WITH_TOOLS), listener)
        assert operation(stub.requests[0]) == "converse"
        assert listener.pieces == [TEXT]

    async def test_a_family_without_instructions_reads_them_before_the_conversation(
        self, stub: LoopbackServer, opened: Opened
    ) -> None:
        messages = await sent_by(opened(TITAN), stub, said(Role.USER, "Hi."))
        instructions = "You are a friendly assistant. Answer briefly."
        assert messages[0]["content"] == [{"text": instructions}, {"text": "Hi."}]
        assert "system" not in stub.requests[0].body

    async def test_without_instructions_there_are_none(
        self, stub: LoopbackServer, model: BedrockLanguageModel
    ) -> None:
        await model.generate(replace(model_request(), instructions=""))
        assert "system" not in stub.requests[0].body

    async def test_a_temperature_is_sent_where_it_is_taken_and_at_most_one(
        self, stub: LoopbackServer, opened: Opened
    ) -> None:
        request = replace(model_request(), temperature=1.5)
        for model in (CLAUDE, "global.anthropic.claude-opus-4-7", "anthropic.claude-opus-5"):
            await opened(model).generate(request)
        sent = [each.body["inferenceConfig"].get("temperature") for each in stub.requests]
        assert sent == [1.0, None, None]

    async def test_tenant_and_turn_are_told_for_the_accounts_own_records(
        self, stub: LoopbackServer, model: BedrockLanguageModel
    ) -> None:
        await model.generate(replace(model_request(), turn_id=TurnId("turn_1")))
        assert stub.requests[0].body["requestMetadata"] == {"tenant": "default", "turn": "turn_1"}

    async def test_the_tenant_is_told_in_characters_that_are_taken(
        self, stub: LoopbackServer, model: BedrockLanguageModel
    ) -> None:
        tenant = TenantId("Ação & Cia. (SP)" + "x" * 300)
        await model.generate(replace(model_request(), tenant_id=tenant))
        told = stub.requests[0].body["requestMetadata"]["tenant"]
        assert told.startswith("A__o _ Cia. _SP_xx")
        assert len(told) == 256

    async def test_a_guardrail_is_applied_within_the_call(self, stub: LoopbackServer) -> None:
        guardrail = GuardrailReference(id="gr1234567890", version="3")
        model = BedrockLanguageModel(model=CLAUDE, clock=now, guardrail=guardrail)
        await model.generate(model_request())
        assert stub.requests[0].body["guardrailConfig"] == {
            "guardrailIdentifier": "gr1234567890",
            "guardrailVersion": "3",
            "trace": "disabled",
        }
        await model.aclose()

    async def test_nothing_is_told_about_this_machine(
        self, stub: LoopbackServer, model: BedrockLanguageModel
    ) -> None:
        await model.generate(model_request())
        assert stub.requests[0].headers["user-agent"] == "prosa"

    async def test_connections_are_used_again(
        self, stub: LoopbackServer, model: BedrockLanguageModel
    ) -> None:
        await model.generate(model_request())
        before = stub.connections
        for on_text in (None, Listener(), None, Listener()):
            await model.generate(model_request(), on_text)
        assert stub.connections == before


class TestAnswersInAFormat:
    async def test_claude_has_to_call_a_tool(
        self, stub: LoopbackServer, model: BedrockLanguageModel
    ) -> None:
        reply = await model.generate(model_request(answer_format=YES_OR_NO))
        config = stub.requests[0].body["toolConfig"]
        schema = {"name": "yes_or_no", "inputSchema": {"json": json.loads(YES_OR_NO.schema)}}
        assert config["toolChoice"] == {"tool": {"name": "yes_or_no"}}
        assert config["tools"] == [{"toolSpec": schema}]
        assert reply.parts == (Text(text='{"answer": "yes"}'),)
        assert reply.finish_reason is FinishReason.STOP

    async def test_open_weights_are_held_to_the_schema(
        self, stub: LoopbackServer, opened: Opened
    ) -> None:
        await opened(QWEN).generate(model_request(answer_format=YES_OR_NO))
        assert stub.requests[0].body["outputConfig"] == {
            "textFormat": {
                "type": "json_schema",
                "structure": {"jsonSchema": {"name": "yes_or_no", "schema": YES_OR_NO.schema}},
            }
        }

    @pytest.mark.parametrize("model_id", [LLAMA, TITAN])
    async def test_other_families_are_asked_in_words_and_their_words_are_cut(
        self, stub: LoopbackServer, opened: Opened, model_id: str
    ) -> None:
        answer = 'Sure!\n```json\n{"answer":\n"no"}\n```'
        stub.will(json_answer(converse_answer({"text": answer})))
        reply = await opened(model_id).generate(model_request(answer_format=YES_OR_NO))
        assert YES_OR_NO.schema in json.loads(json.dumps(str(stub.requests[0].body)))
        assert json.loads(text_of(reply.parts)) == {"answer": "no"}

    async def test_an_answer_that_is_no_json_stays_as_it_is(
        self, stub: LoopbackServer, opened: Opened
    ) -> None:
        stub.will(json_answer(converse_answer({"text": "Yes."})))
        reply = await opened(LLAMA).generate(model_request(answer_format=YES_OR_NO))
        assert text_of(reply.parts) == "Yes."

    async def test_a_name_is_put_into_characters_that_a_tool_may_have(
        self, stub: LoopbackServer, model: BedrockLanguageModel
    ) -> None:
        odd = replace(YES_OR_NO, name="sim ou não")
        await model.generate(model_request(answer_format=odd))
        assert stub.requests[0].body["toolConfig"]["toolChoice"]["tool"]["name"] == "sim_ou_n_o"

    async def test_who_listens_hears_it_in_one_piece(self, model: BedrockLanguageModel) -> None:
        listener = Listener()
        await model.generate(model_request(answer_format=YES_OR_NO), listener)
        assert listener.pieces == ['{"answer": "yes"}']


class TestReplies:
    async def test_a_plain_answer_is_read_whole(self, model: BedrockLanguageModel) -> None:
        reply = await model.generate(model_request())
        assert text_of(reply.parts) == TEXT
        assert reply.finish_reason is FinishReason.STOP
        assert (reply.provider, reply.model) == ("bedrock", CLAUDE)

    async def test_cached_tokens_count_as_input(self, model: BedrockLanguageModel) -> None:
        reply = await model.generate(model_request())
        assert reply.usage == TokenUsage(input_tokens=21, output_tokens=9, cached_input_tokens=4)

    async def test_a_streamed_answer_is_the_same(self, model: BedrockLanguageModel) -> None:
        plain = await model.generate(model_request())
        assert await model.generate(model_request(), Listener()) == plain

    async def test_frames_may_be_cut_between_any_two_bytes(
        self, stub: LoopbackServer, model: BedrockLanguageModel
    ) -> None:
        body = b"".join(said_events(["Olá 🚚"]))
        pieces = (chunked(body[index : index + 1]) for index in range(len(body)))
        stub.will(STREAM_HEAD, *pieces, LAST_CHUNK)
        listener = Listener()
        await model.generate(model_request(), listener)
        assert listener.pieces == ["Olá 🚚"]

    @pytest.mark.parametrize(
        ("stop_reason", "finish_reason"),
        [
            ("end_turn", FinishReason.STOP),
            ("stop_sequence", FinishReason.STOP),
            ("max_tokens", FinishReason.LENGTH),
            ("model_context_window_exceeded", FinishReason.LENGTH),
        ],
    )
    async def test_stop_reasons_are_understood(
        self,
        stub: LoopbackServer,
        model: BedrockLanguageModel,
        on_text: OnText | None,
        stop_reason: str,
        finish_reason: FinishReason,
    ) -> None:
        stub.will(saying(stop_reason, streamed=on_text is not None))
        assert (await model.generate(model_request(), on_text)).finish_reason is finish_reason

    async def test_a_tool_call_is_read(
        self, stub: LoopbackServer, model: BedrockLanguageModel
    ) -> None:
        content = ({"text": "One moment."}, tool_use("find_order", {"number": 7}))
        stub.will(json_answer(converse_answer(*content, stop_reason="tool_use")))
        reply = await model.generate(model_request())
        assert reply.finish_reason is FinishReason.TOOL_CALLS
        assert reply.parts == (
            Text(text="One moment."),
            ToolCall(id="tooluse_1", name="find_order", arguments='{"number": 7}'),
        )

    async def test_a_streamed_tool_call_is_joined(
        self, stub: LoopbackServer, model: BedrockLanguageModel
    ) -> None:
        start = {"toolUse": {"toolUseId": "t1", "name": "find_order"}}
        events = (
            event("messageStart", {"role": "assistant"}),
            text_delta("One moment."),
            event("contentBlockStart", {"contentBlockIndex": 1, "start": start}),
            delta({"toolUse": {"input": '{"num'}}, 1),
            delta({"toolUse": {"input": 'ber": 7}'}}, 1),
            event("contentBlockStart", {"contentBlockIndex": 2, "start": start}),
            *ended("tool_use"),
        )
        stub.will(event_stream(events))
        reply = await model.generate(model_request(), Listener())
        assert reply.finish_reason is FinishReason.TOOL_CALLS
        assert reply.parts == (
            Text(text="One moment."),
            ToolCall(id="t1", name="find_order", arguments='{"number": 7}'),
            ToolCall(id="t1", name="find_order", arguments="{}"),
        )

    async def test_what_a_model_reasons_is_left_out(
        self, stub: LoopbackServer, model: BedrockLanguageModel
    ) -> None:
        reasoning = {"reasoningContent": {"reasoningText": {"text": "Hm.", "signature": "s"}}}
        stub.will(json_answer(converse_answer(reasoning, {"text": TEXT})))
        stub.will(
            event_stream(
                [
                    event("contentBlockStart", {"contentBlockIndex": 0, "start": {"new": {}}}),
                    event("somethingNew", {"answer": 42}),
                    delta({"reasoningContent": {"text": "Hm."}}),
                    text_delta(TEXT, 1),
                    *ended(),
                ]
            )
        )
        for on_text in (None, Listener()):
            reply = await model.generate(model_request(), on_text)
            assert reply.parts == (Text(text=TEXT),)

    async def test_a_usage_of_junk_or_none_counts_as_none(
        self, stub: LoopbackServer, model: BedrockLanguageModel
    ) -> None:
        for usage in ({"inputTokens": -1, "cacheReadInputTokens": None}, None):
            stub.will(json_answer(converse_answer({"text": TEXT}, usage=usage)))
            assert (await model.generate(model_request())).usage == TokenUsage()


def saying(stop_reason: str, *, streamed: bool, words: Iterable[str] = WORDS) -> bytes:
    if streamed:
        return event_stream(said_events(words, stop_reason))
    return json_answer(converse_answer({"text": "".join(words)}, stop_reason=stop_reason))


Refusal = tuple[int, str, str, type[LanguageModelError]]

REFUSALS: list[Refusal] = [
    (429, "ThrottlingException", "Too many requests, please wait.", ModelRateLimited),
    (429, "ThrottlingException", "Too many tokens, please wait.", ModelRateLimited),
    (429, "ThrottlingException", "Too many tokens per day, please wait.", ModelQuotaExhausted),
    (400, "ServiceQuotaExceededException", "no", ModelRateLimited),
    (429, "ModelNotReadyException", "no", ModelUnavailable),
    (408, "ModelTimeoutException", "no", ModelUnavailable),
    (424, "ModelErrorException", "no", ModelUnavailable),
    (424, "ModelStreamErrorException", "no", ModelUnavailable),
    (500, "InternalServerException", "no", ModelUnavailable),
    (503, "ServiceUnavailableException", "no", ModelUnavailable),
    (502, "BadGateway", "no", ModelUnavailable),
    (400, "ValidationException", "no", ModelRejectedRequest),
    (422, "Unprocessable", "no", ModelRejectedRequest),
    (429, "SomethingNew", "no", ModelRateLimited),
    (403, "AccessDeniedException", "no", ModelMisconfigured),
    (404, "ResourceNotFoundException", "no", ModelMisconfigured),
    (403, "UnrecognizedClientException", "no", ModelMisconfigured),
    (403, "ExpiredTokenException", "no", ModelMisconfigured),
    (403, "InvalidSignatureException", "no", ModelMisconfigured),
    (400, "IncompleteSignature", "no", ModelMisconfigured),
    (403, "SomethingNew", "no", ModelMisconfigured),
    (404, "FTUFormNotFilled", "no", ModelMisconfigured),
    (413, "RequestTooLarge", "no", ContextTooLong),
    (400, "ValidationException", "Output blocked by content filtering policy", ContentFiltered),
    (400, "ValidationException", "The provided model identifier is invalid.", ModelMisconfigured),
    (
        400,
        "ValidationException",
        "Invocation of model ID m with on-demand throughput isn't supported.",
        ModelMisconfigured,
    ),
    (
        400,
        "ValidationException",
        "The guardrail identifier or version provided in the request does not exist.",
        ModelMisconfigured,
    ),
]

TOO_LONG = [
    "Input is too long for requested model.",
    "The model returned the following errors: prompt is too long: 209353 tokens > 200000 maximum",
    "input length and `max_tokens` exceed context limit: 142422 + 64000 > 204658",
    "Input Tokens Exceeded: Number of input tokens exceeds maximum length.",
    "This model's maximum context length is 131072 tokens. Please reduce the length of the prompt",
    "Prompt contains 40000 tokens, too large for model with 32768 maximum context length",
    "too many tokens: total number of tokens in the prompt cannot exceed 4081",
    "Malformed input request: expected maxLength: 42000, actual: 50000",
    "messages: too many total text bytes: 28 MB > 25 MB",
]


class TestRefusals:
    @pytest.mark.parametrize("refusal", REFUSALS)
    async def test_each_code_is_understood(
        self,
        stub: LoopbackServer,
        model: BedrockLanguageModel,
        on_text: OnText | None,
        refusal: Refusal,
    ) -> None:
        status, code, message, kind = refusal
        stub.will(error(status, code, message))
        with pytest.raises(LanguageModelError) as failure:
            await model.generate(model_request(), on_text)
        assert type(failure.value) is kind
        assert f"({code}, request r-1)" in str(failure.value)
        assert len(stub.requests) == 1

    @pytest.mark.parametrize("message", TOO_LONG)
    async def test_each_familys_words_for_a_long_conversation_are_understood(
        self, stub: LoopbackServer, model: BedrockLanguageModel, message: str
    ) -> None:
        stub.will(error(400, "ValidationException", message))
        with pytest.raises(ContextTooLong):
            await model.generate(model_request())

    @pytest.mark.parametrize(
        ("kind", "expected"),
        [
            ("throttlingException", ModelRateLimited),
            ("modelStreamErrorException", ModelUnavailable),
            ("internalServerException", ModelUnavailable),
            ("serviceUnavailableException", ModelUnavailable),
            ("modelTimeoutException", ModelUnavailable),
            ("validationException", ModelRejectedRequest),
            ("somethingNew", ModelUnavailable),
        ],
    )
    async def test_exceptions_within_a_stream_are_understood(
        self,
        stub: LoopbackServer,
        model: BedrockLanguageModel,
        kind: str,
        expected: type[LanguageModelError],
    ) -> None:
        stub.will(event_stream([text_delta("Olá"), stream_exception(kind)]))
        listener = Listener()
        with pytest.raises(LanguageModelError) as failure:
            await model.generate(model_request(), listener)
        assert type(failure.value) is expected
        assert listener.pieces == ["Olá"]

    async def test_an_error_without_a_model_within_a_stream_is_a_failure(
        self, stub: LoopbackServer, model: BedrockLanguageModel
    ) -> None:
        headers = {":message-type": "error", ":error-code": "Oops", ":error-message": "no"}
        stub.will(event_stream([frame(headers, b"")]))
        with pytest.raises(ModelUnavailable):
            await model.generate(model_request(), Listener())

    async def test_a_long_conversation_may_show_within_a_stream_only(
        self, stub: LoopbackServer, model: BedrockLanguageModel
    ) -> None:
        stub.will(event_stream([stream_exception("validationException", TOO_LONG[0])]))
        with pytest.raises(ContextTooLong):
            await model.generate(model_request(), Listener())

    @pytest.mark.parametrize("stop_reason", ["guardrail_intervened", "content_filtered"])
    async def test_a_filter_ends_the_answer(
        self,
        stub: LoopbackServer,
        model: BedrockLanguageModel,
        on_text: OnText | None,
        stop_reason: str,
    ) -> None:
        stub.will(saying(stop_reason, streamed=on_text is not None))
        with pytest.raises(ContentFiltered):
            await model.generate(model_request(), on_text)

    @pytest.mark.parametrize(
        "stop_reason", ["malformed_model_output", "malformed_tool_use", "something_new"]
    )
    async def test_an_end_that_is_no_good_makes_no_reply(
        self,
        stub: LoopbackServer,
        model: BedrockLanguageModel,
        on_text: OnText | None,
        stop_reason: str,
    ) -> None:
        stub.will(saying(stop_reason, streamed=on_text is not None))
        with pytest.raises(ModelReplyMalformed):
            await model.generate(model_request(), on_text)

    async def test_nothing_that_bedrock_says_is_repeated(
        self, stub: LoopbackServer, model: BedrockLanguageModel, on_text: OnText | None
    ) -> None:
        stub.will(error(400, "ValidationException", "My password is xyzzy-12345"))
        with pytest.raises(ModelRejectedRequest) as failure:
            await model.generate(model_request(), on_text)
        assert "xyzzy" not in "".join(traceback.format_exception(failure.value))


CUT = said_events(WORDS)
BAD_CRC = CUT[1][:-1] + bytes([CUT[1][-1] ^ 1])

BROKEN_STREAMS: list[tuple[str, list[Step], type[LanguageModelError]]] = [
    ("closed at once", [CLOSE], ModelUnavailable),
    ("closed after the head", [STREAM_HEAD, CLOSE], ModelUnavailable),
    ("cut midway", [STREAM_HEAD, chunked(b"".join(CUT[:4])), CLOSE], ModelUnavailable),
    ("ended without an end", [event_stream(CUT[:-2])], ModelReplyMalformed),
    ("nothing at all", [event_stream([])], ModelReplyMalformed),
    ("empty", [event_stream(said_events([]))], ModelReplyMalformed),
    ("blank", [event_stream(said_events([" \n"]))], ModelReplyMalformed),
    ("no frame", [event_stream([b"data: " + b"x" * 50])], ModelReplyMalformed),
    ("a wrong checksum", [event_stream([CUT[0], BAD_CRC])], ModelReplyMalformed),
    ("text that is a number", [event_stream([text_delta(7)])], ModelReplyMalformed),
    (
        "a call that never began",
        [event_stream([delta({"toolUse": {"input": "{"}})])],
        ModelReplyMalformed,
    ),
    (
        "a call without a name",
        [
            event_stream(
                [event("contentBlockStart", {"contentBlockIndex": 0, "start": {"toolUse": {}}})]
            )
        ],
        ModelReplyMalformed,
    ),
    (
        "a part without a place",
        [event_stream([event("contentBlockStart", {"start": {"toolUse": {}}})])],
        ModelReplyMalformed,
    ),
]

BROKEN_ANSWERS: list[tuple[str, list[Step], type[LanguageModelError]]] = [
    ("closed at once", [CLOSE], ModelUnavailable),
    (
        "cut midway",
        [json_answer(converse_answer({"text": TEXT}))[:-20], CLOSE],
        ModelReplyMalformed,
    ),
    ("no JSON", [response(200, b'{"output": {')], ModelReplyMalformed),
    ("no text", [response(200, b"\xff\xfe")], ModelReplyMalformed),
    ("no body", [response(200, b"")], ModelReplyMalformed),
    ("a list", [json_answer([1, 2])], ModelReplyMalformed),
    ("no output", [json_answer({"stopReason": "end_turn"})], ModelReplyMalformed),
    ("a list for an output", [json_answer({"output": [1]})], ModelReplyMalformed),
    ("no content", [json_answer({"output": {"message": {}}})], ModelReplyMalformed),
    ("an empty answer", [json_answer(converse_answer())], ModelReplyMalformed),
    ("text that is a number", [json_answer(converse_answer({"text": 7}))], ModelReplyMalformed),
    ("an empty text", [json_answer(converse_answer({"text": ""}))], ModelReplyMalformed),
    (
        "no stop reason",
        [json_answer(converse_answer({"text": TEXT}, stop_reason=None))],
        ModelReplyMalformed,
    ),
    (
        "no room for an answer",
        [json_answer(converse_answer(stop_reason="model_context_window_exceeded"))],
        ContextTooLong,
    ),
]


class TestBrokenAnswers:
    @pytest.mark.parametrize(
        ("steps", "kind"),
        [pytest.param(steps, kind, id=name) for name, steps, kind in BROKEN_STREAMS],
    )
    async def test_a_broken_stream_is_no_reply(
        self,
        stub: LoopbackServer,
        model: BedrockLanguageModel,
        steps: list[Step],
        kind: type[LanguageModelError],
    ) -> None:
        stub.will(*steps)
        with pytest.raises(LanguageModelError) as failure:
            await model.generate(model_request(), Listener())
        assert type(failure.value) is kind
        assert text_of((await model.generate(model_request(), Listener())).parts) == TEXT

    @pytest.mark.parametrize(
        ("steps", "kind"),
        [pytest.param(steps, kind, id=name) for name, steps, kind in BROKEN_ANSWERS],
    )
    async def test_a_broken_answer_is_no_reply(
        self,
        stub: LoopbackServer,
        model: BedrockLanguageModel,
        steps: list[Step],
        kind: type[LanguageModelError],
    ) -> None:
        stub.will(*steps)
        with pytest.raises(LanguageModelError) as failure:
            await model.generate(model_request())
        assert type(failure.value) is kind
        assert text_of((await model.generate(model_request())).parts) == TEXT

    async def test_a_value_that_cannot_be_read_is_not_repeated(
        self, stub: LoopbackServer, model: BedrockLanguageModel
    ) -> None:
        usage = {"inputTokens": "My password is xyzzy-12345"}
        stub.will(json_answer(converse_answer({"text": TEXT}, usage=usage)))
        with pytest.raises(ModelReplyMalformed) as failure:
            await model.generate(model_request())
        assert "xyzzy" not in "".join(traceback.format_exception(failure.value))

    async def test_an_endless_answer_is_given_up(
        self, stub: LoopbackServer, model: BedrockLanguageModel
    ) -> None:
        megabyte = chunked(text_delta("x" * 1_000_000))
        stub.will(STREAM_HEAD, *[megabyte] * 12)
        with pytest.raises(ModelReplyMalformed, match="too large"):
            await model.generate(model_request(), Listener())


class TestNobodyThere:
    async def test_a_port_where_nobody_listens_is_unavailable(
        self, new_model: BedrockLanguageModel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "http://127.0.0.1:9")
        with pytest.raises(ModelUnavailable, match="EndpointConnectionError"):
            await new_model.generate(model_request())

    async def test_without_credentials_nothing_is_sent(
        self, stub: LoopbackServer, new_model: BedrockLanguageModel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("AWS_ACCESS_KEY_ID")
        with pytest.raises(ModelMisconfigured, match="no AWS credentials"):
            await new_model.generate(model_request())
        assert not stub.requests

    async def test_without_a_region_it_cannot_be_opened(
        self, new_model: BedrockLanguageModel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.delenv("AWS_DEFAULT_REGION")
        with pytest.raises(ConfigurationError, match="You must specify a region"):
            await new_model.open()
        with pytest.raises(ModelMisconfigured):
            await new_model.generate(model_request())

    async def test_an_endpoint_that_is_none_cannot_be_opened(
        self, new_model: BedrockLanguageModel, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "nowhere")
        with pytest.raises(ConfigurationError, match="Invalid endpoint"):
            await new_model.open()

    async def test_a_closed_model_answers_no_more(self, new_model: BedrockLanguageModel) -> None:
        await new_model.generate(model_request())
        await new_model.aclose()
        request = model_request()
        with pytest.raises(ModelUnavailable, match="is closed"):
            await new_model.generate(request)
        assert request.budget.remaining == model_request().budget.remaining


class TestTime:
    async def test_a_hung_call_ends_with_its_deadline_and_so_does_its_thread(
        self, stub: LoopbackServer, new_model: BedrockLanguageModel, on_text: OnText | None
    ) -> None:
        await new_model.open()
        stub.will(HANG)
        with pytest.raises(ModelTimedOut):
            await new_model.generate(model_request(seconds=0.3), on_text)
        async with asyncio.timeout(SOON):
            await stub.left.wait()

    async def test_a_stream_that_hangs_midway_ends_when_nobody_listens(
        self, stub: LoopbackServer, new_model: BedrockLanguageModel
    ) -> None:
        stub.will(STREAM_HEAD, chunked(text_delta("Olá")), HANG)
        listener = Listener()
        call = asyncio.create_task(new_model.generate(model_request(seconds=600), listener))
        await listener.heard.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        async with asyncio.timeout(SOON):
            await stub.left.wait()

    async def test_a_stream_that_begins_when_nobody_listens_any_more_ends_at_once(
        self, stub: LoopbackServer, new_model: BedrockLanguageModel
    ) -> None:
        await new_model.open()
        stub.will(0.1, STREAM_HEAD, HANG)
        call = asyncio.create_task(new_model.generate(model_request(seconds=600), Listener()))
        await stub.asked.wait()
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        async with asyncio.timeout(SOON):
            await stub.left.wait()

    async def test_signs_of_life_outlive_no_deadline(
        self, stub: LoopbackServer, new_model: BedrockLanguageModel
    ) -> None:
        await new_model.open()
        frame_by_bytes = [chunked(bytes([byte])) for byte in text_delta("x" * 400)]
        stub.will(STREAM_HEAD, *[step for byte in frame_by_bytes for step in (byte, 0.05)])
        started = time.monotonic()
        with pytest.raises(ModelTimedOut):
            await new_model.generate(model_request(seconds=0.3), Listener())
        assert time.monotonic() - started < SOON
        async with asyncio.timeout(SOON):
            await stub.left.wait()

    async def test_a_slow_listener_makes_the_thread_wait_and_misses_nothing(
        self, stub: LoopbackServer, new_model: BedrockLanguageModel
    ) -> None:
        words = [f"{number} " for number in range(EVENTS_AHEAD * 4)]
        stub.will(event_stream(said_events(words)))
        heard: list[str] = []

        async def slow(text: str) -> None:
            if not heard:
                await asyncio.sleep(0.2)
            heard.append(text)

        await new_model.generate(model_request(), slow)
        assert heard == words

    async def test_what_nobody_listens_to_is_not_read_ahead_without_end(
        self, stub: LoopbackServer, new_model: BedrockLanguageModel
    ) -> None:
        await new_model.open()
        many = EVENTS_AHEAD * 8
        piece = chunked(text_delta("x" * 100_000))
        sent: list[int] = []

        def counted() -> Iterator[Step]:
            yield STREAM_HEAD
            for number in range(many):
                sent.append(number)
                yield piece

        stub.answers.append(counted())
        with pytest.raises(ModelTimedOut):
            await new_model.generate(model_request(seconds=1.0), Listener(stuck=True))
        # What the sockets hold is sent, too.
        assert EVENTS_AHEAD <= len(sent) < many

    async def test_a_listener_that_is_stuck_keeps_no_thread_after_the_deadline(
        self, stub: LoopbackServer, new_model: BedrockLanguageModel
    ) -> None:
        await new_model.open()
        words = ["x"] * (EVENTS_AHEAD * 4)
        stub.will(event_stream(said_events(words)))
        with pytest.raises(ModelTimedOut):
            await new_model.generate(model_request(seconds=0.3), Listener(stuck=True))
        assert (await new_model.generate(model_request(seconds=SOON))).parts

    async def test_closing_leaves_no_thread(self, new_model: BedrockLanguageModel) -> None:
        before = set(threading.enumerate())
        await new_model.generate(model_request(), Listener())
        await new_model.aclose()
        for thread in set(threading.enumerate()) - before:
            await asyncio.to_thread(thread.join, SOON)
            assert not thread.is_alive()


class TestFamilies:
    @pytest.mark.parametrize(
        ("model_id", "context_tokens"),
        [
            ("anthropic.claude-3-5-haiku-20241022-v1:0", 200_000),
            ("us.anthropic.claude-sonnet-4-5-20250929-v1:0", 200_000),
            ("apac.amazon.nova-micro-v1:0", 128_000),
            ("us-gov.amazon.nova-pro-v1:0", 300_000),
            ("meta.llama3-8b-instruct-v1:0", 8_000),
            ("meta.llama3-3-70b-instruct-v1:0", 128_000),
            (
                "arn:aws:bedrock:sa-east-1::foundation-model/mistral.mistral-7b-instruct-v0:2",
                32_000,
            ),
            ("arn:aws:bedrock:us-east-1:1:inference-profile/us.amazon.nova-lite-v1:0", 300_000),
            ("arn:aws:bedrock:us-east-1:1:application-inference-profile/abc123", 4_096),
            ("something.else-v1:0", 4_096),
        ],
    )
    async def test_the_context_is_known_by_the_id(self, model_id: str, context_tokens: int) -> None:
        model = BedrockLanguageModel(model=model_id, clock=now)
        assert model.context_tokens == context_tokens
        assert model.name == f"bedrock:{model_id}"
        assert model.needs_alternating_roles

    async def test_a_profile_by_arn_is_asked_by_its_whole_name(
        self, stub: LoopbackServer, opened: Opened
    ) -> None:
        arn = "arn:aws:bedrock:us-east-1:123456789012:application-inference-profile/abc123"
        await opened(arn).generate(model_request(*WITH_TOOLS, answer_format=YES_OR_NO))
        assert len(stub.requests) == 1
