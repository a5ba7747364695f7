"""What is particular to OpenAI's interface: what is sent, and each way in which it may fail."""

import asyncio
import gzip
import socket
import time
import traceback
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from functools import partial

import pytest

from embedded_aws.loopback_server import (
    CLOSE,
    HANG,
    LAST_CHUNK,
    LoopbackServer,
    chunked,
    json_response,
    response,
)
from prosa.adapters.openai.language_model import MAX_BODY_BYTES, OpenAILanguageModel
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
from prosa.application.ports.secret_store import Secret
from prosa.domain.content import Text, ToolCall, ToolResult, text_of
from prosa.domain.errors import ConfigurationError
from prosa.domain.message import Role
from prosa.domain.reply import FinishReason, TokenUsage
from prosa.testing.language_model_contract import YES_OR_NO, Listener, model_request, said
from tests.adapters.openai.provider import (
    FINISH,
    STREAM_HEAD,
    STREAM_USAGE,
    TEXT,
    answer,
    completion,
    delta,
    error,
    event,
    event_stream,
    good_answer,
    running_provider,
)

KEY = "sk-secret-key-of-the-tenant"


async def api_key() -> str:
    return KEY


API_KEY = Secret(read=api_key)


def openai_model(
    provider: LoopbackServer, *, model: str = "gpt-4o-mini", key: Secret | None = API_KEY
) -> OpenAILanguageModel:
    return OpenAILanguageModel(
        model=model,
        context_tokens=128_000,
        clock=lambda: datetime.now(UTC),
        api_key=key,
        base_url=provider.url,
    )


@pytest.fixture
async def provider() -> AsyncIterator[LoopbackServer]:
    async with running_provider() as provider:
        yield provider


@pytest.fixture
async def model(provider: LoopbackServer) -> AsyncIterator[OpenAILanguageModel]:
    model = openai_model(provider)
    yield model
    await model.aclose()


@pytest.fixture(params=[False, True], ids=["plain", "streamed"])
def on_text(request: pytest.FixtureRequest) -> OnText | None:
    return Listener() if request.param else None


class TestWhatIsSent:
    async def test_instructions_come_first_then_the_conversation(
        self, provider: LoopbackServer, model: OpenAILanguageModel
    ) -> None:
        call = ToolCall(id="call_1", name="find_order", arguments='{"number": 7}')
        await model.generate(
            model_request(
                said(Role.USER, "Where is ", "my order?"),
                said(Role.ASSISTANT, "I look it up.", call),
                said(Role.TOOL, ToolResult(call_id="call_1", content="On its way.")),
                said(Role.ASSISTANT, "On its way."),
                said(Role.AGENT, "It arrives today."),
            )
        )
        function = {"name": "find_order", "arguments": '{"number": 7}'}
        tool_call = {"id": "call_1", "type": "function", "function": function}
        assert provider.requests[0].path == "/v1/chat/completions"
        assert provider.requests[0].body["messages"] == [
            {"role": "system", "content": "You are a friendly assistant. Answer briefly."},
            {"role": "user", "content": "Where is my order?"},
            {"role": "assistant", "content": "I look it up.", "tool_calls": [tool_call]},
            {"role": "tool", "tool_call_id": "call_1", "content": "On its way."},
            {"role": "assistant", "content": "On its way."},
            {"role": "assistant", "content": "It arrives today."},
        ]

    async def test_a_plain_call_says_only_what_it_must(
        self, provider: LoopbackServer, model: OpenAILanguageModel
    ) -> None:
        await model.generate(model_request())
        body = provider.requests[0].body
        assert set(body) == {"model", "messages", "temperature", "max_tokens"}
        assert body["model"] == "gpt-4o-mini"
        assert body["max_tokens"] == 8

    async def test_a_streamed_call_asks_for_the_usage_too(
        self, provider: LoopbackServer, model: OpenAILanguageModel
    ) -> None:
        await model.generate(model_request(), Listener())
        body = provider.requests[0].body
        assert body["stream"] is True
        assert body["stream_options"] == {"include_usage": True}

    async def test_an_answer_format_is_sent_as_a_strict_schema(
        self, provider: LoopbackServer, model: OpenAILanguageModel
    ) -> None:
        await model.generate(model_request(answer_format=YES_OR_NO))
        response_format = provider.requests[0].body["response_format"]
        assert isinstance(response_format, dict)
        assert response_format["type"] == "json_schema"
        assert response_format["json_schema"]["strict"] is True
        assert response_format["json_schema"]["schema"]["required"] == ["answer"]

    async def test_without_instructions_there_is_no_system_message(
        self, provider: LoopbackServer, model: OpenAILanguageModel
    ) -> None:
        await model.generate(replace(model_request(), instructions=""))
        messages = provider.requests[0].body["messages"]
        assert isinstance(messages, list)
        assert [message["role"] for message in messages] == ["user"]

    async def test_reasoning_models_are_sent_no_temperature(self, provider: LoopbackServer) -> None:
        model = openai_model(provider, model="gpt-5-mini")
        await model.generate(model_request())
        assert "temperature" not in provider.requests[0].body
        await model.aclose()

    async def test_the_key_is_asked_for_on_every_call(self, provider: LoopbackServer) -> None:
        keys = iter(["first", "second"])

        async def rotated() -> str:
            return next(keys)

        model = openai_model(provider, key=Secret(read=rotated))
        await model.generate(model_request())
        await model.generate(model_request())
        sent = [request.headers["authorization"] for request in provider.requests]
        assert sent == ["Bearer first", "Bearer second"]
        await model.aclose()

    async def test_a_key_that_is_refused_is_doubted_and_no_other_failure_is(
        self, provider: LoopbackServer
    ) -> None:
        doubts: list[int] = []
        for status in (403, 429, 500, 401):
            provider.will(error(status))
            secret = Secret(read=api_key, doubt=partial(doubts.append, status))
            model = openai_model(provider, key=secret)
            with pytest.raises(LanguageModelError):
                await model.generate(model_request())
            await model.aclose()
        assert doubts == [401]

    async def test_user_and_password_of_an_address_are_sent_unless_there_is_a_key(
        self, provider: LoopbackServer
    ) -> None:
        provider.url = provider.url.replace("//", "//ana:a%20b@")
        sent = []
        for key in (None, API_KEY):
            model = openai_model(provider, key=key)
            await model.generate(model_request())
            await model.aclose()
            sent.append(provider.requests[-1].headers["authorization"])
        assert sent == [f"Basic {b64encode(b'ana:a b').decode()}", f"Bearer {KEY}"]

    async def test_another_server_gets_no_key_and_nothing_else_from_the_environment(
        self, provider: LoopbackServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv("OPENAI_API_KEY", "sk-from-the-environment")
        monkeypatch.setenv("OPENAI_ADMIN_KEY", "sk-admin-from-the-environment")
        monkeypatch.setenv("OPENAI_ORG_ID", "org-from-the-environment")
        monkeypatch.setenv("OPENAI_PROJECT_ID", "project-from-the-environment")
        model = openai_model(provider, key=None)
        await model.generate(model_request())
        headers = provider.requests[0].headers
        assert "authorization" not in headers
        assert "from-the-environment" not in str(headers)
        await model.aclose()

    async def test_nothing_is_told_about_this_machine(
        self, provider: LoopbackServer, model: OpenAILanguageModel
    ) -> None:
        await model.generate(model_request())
        assert not [name for name in provider.requests[0].headers if "stainless" in name]

    async def test_connections_are_used_again(
        self, provider: LoopbackServer, model: OpenAILanguageModel
    ) -> None:
        for on_text in (None, Listener(), None, Listener()):
            await model.generate(model_request(), on_text)
        assert provider.connections == 1

    async def test_a_stream_that_ends_a_little_late_leaves_its_connection_usable(
        self, provider: LoopbackServer, model: OpenAILanguageModel
    ) -> None:
        stream = event_stream([delta({"content": "Olá"})]).removesuffix(LAST_CHUNK)
        provider.will(stream, 0.02, LAST_CHUNK)
        await model.generate(model_request(), Listener())
        await model.generate(model_request(), Listener())
        assert provider.connections == 1

    async def test_256_calls_are_under_way_at_once(
        self, provider: LoopbackServer, model: OpenAILanguageModel
    ) -> None:
        provider.otherwise = lambda received: [0.5, good_answer(received)]
        started = time.monotonic()
        await asyncio.gather(*(model.generate(model_request()) for _ in range(256)))
        assert provider.connections == 256
        assert time.monotonic() - started < 0.5 + 0.5 * 5


class TestReplies:
    async def test_a_plain_answer_is_read_whole(
        self, provider: LoopbackServer, model: OpenAILanguageModel
    ) -> None:
        reply = await model.generate(model_request())
        assert text_of(reply.parts) == TEXT
        assert reply.finish_reason is FinishReason.STOP
        assert (reply.provider, reply.model) == ("openai", "gpt-4o-mini")
        assert reply.usage == TokenUsage(input_tokens=21, output_tokens=9, cached_input_tokens=4)
        assert len(provider.requests) == 1

    async def test_a_streamed_answer_is_the_same(self, model: OpenAILanguageModel) -> None:
        plain = await model.generate(model_request())
        assert await model.generate(model_request(), Listener()) == plain

    async def test_characters_may_be_cut_between_any_two_bytes(
        self, provider: LoopbackServer, model: OpenAILanguageModel
    ) -> None:
        events = b"".join(
            event(chunk) for chunk in (delta({"content": "Olá 🚚"}), FINISH, STREAM_USAGE)
        )
        steps = [step for at in range(len(events)) for step in (chunked(events[at : at + 1]), 0.0)]
        provider.will(STREAM_HEAD, *steps, chunked(b"data: [DONE]\n\n"), LAST_CHUNK)
        listener = Listener()
        reply = await model.generate(model_request(), listener)
        assert text_of(reply.parts) == "Olá 🚚"
        assert listener.pieces == ["Olá 🚚"]

    async def test_keep_alives_other_fields_and_line_ends_do_not_matter(
        self, provider: LoopbackServer, model: OpenAILanguageModel
    ) -> None:
        noisy = b": keep-alive\r\n\r\nevent: message\r\nid: 7\r\n" + event(
            delta({"role": "assistant", "content": "Olá"})
        ).replace(b"\n", b"\r\n")
        # No usage, and no line end after the last event.
        last = event(delta({"content": "!"}, "stop")).rstrip()
        provider.will(STREAM_HEAD, chunked(noisy), chunked(last), LAST_CHUNK)
        reply = await model.generate(model_request(), Listener())
        assert text_of(reply.parts) == "Olá!"
        assert reply.usage == TokenUsage()

    @pytest.mark.parametrize("end", [b"data: [DONE]", b"data:[DONE]\n", b""])
    async def test_the_last_event_may_be_written_in_any_way(
        self, provider: LoopbackServer, model: OpenAILanguageModel, end: bytes
    ) -> None:
        events = event(delta({"content": "Olá"})) + event(FINISH) + end
        provider.will(STREAM_HEAD, chunked(events), LAST_CHUNK)
        reply = await model.generate(model_request(), Listener())
        assert text_of(reply.parts) == "Olá"

    async def test_a_stream_whose_end_never_comes_is_complete_all_the_same(
        self, provider: LoopbackServer, model: OpenAILanguageModel
    ) -> None:
        stream = event_stream([delta({"content": "Olá"})]).removesuffix(LAST_CHUNK)
        for after in (HANG, CLOSE):
            provider.will(stream, after)
            async with asyncio.timeout(3):
                assert (await model.generate(model_request(), Listener())).parts

    async def test_a_server_that_does_not_stream_is_understood_all_the_same(
        self, provider: LoopbackServer, model: OpenAILanguageModel
    ) -> None:
        provider.will(answer("Olá"))
        listener = Listener()
        assert text_of((await model.generate(model_request(), listener)).parts) == "Olá"
        assert listener.pieces == ["Olá"]

    @pytest.mark.parametrize(
        "usage", [None, 7, {}, {"prompt_tokens": "many"}, {"prompt_tokens": -3}]
    )
    async def test_a_usage_that_makes_no_sense_counts_as_none(
        self, provider: LoopbackServer, model: OpenAILanguageModel, usage: object
    ) -> None:
        provider.will(json_response(200, completion({"content": "Olá"}, usage=usage)))
        assert (await model.generate(model_request())).usage == TokenUsage()

    async def test_tool_calls_are_read_whole(
        self, provider: LoopbackServer, model: OpenAILanguageModel
    ) -> None:
        calls = [
            {"id": "a", "function": {"name": "find_order", "arguments": '{"n": 7}'}},
            {"id": "b", "function": {"name": "say_time", "arguments": ""}},
        ]
        message = {"content": None, "tool_calls": calls}
        provider.will(json_response(200, completion(message, "tool_calls")))
        reply = await model.generate(model_request())
        assert reply.finish_reason is FinishReason.TOOL_CALLS
        assert reply.parts == (
            ToolCall(id="a", name="find_order", arguments='{"n": 7}'),
            ToolCall(id="b", name="say_time", arguments="{}"),
        )

    async def test_tool_calls_are_joined_from_fragments(
        self, provider: LoopbackServer, model: OpenAILanguageModel
    ) -> None:
        fragments: list[dict[str, object]] = [
            {"index": 0, "id": "a", "function": {"name": "find_order", "arguments": ""}},
            {"index": 0, "function": {"arguments": '{"n"'}},
            {"index": 1, "id": "b", "function": {"name": "say_time", "arguments": "{}"}},
            {"index": 0, "function": {"arguments": ": 7}"}},
        ]
        chunks = [delta({"tool_calls": [fragment]}) for fragment in fragments]
        provider.will(event_stream([delta({"content": "One moment."}), *chunks]))
        reply = await model.generate(model_request(), Listener())
        assert reply.finish_reason is FinishReason.TOOL_CALLS
        assert reply.parts == (
            Text(text="One moment."),
            ToolCall(id="a", name="find_order", arguments='{"n": 7}'),
            ToolCall(id="b", name="say_time", arguments="{}"),
        )

    @pytest.mark.parametrize(
        ("said_reason", "reason"),
        [("stop", FinishReason.STOP), ("length", FinishReason.LENGTH)],
    )
    async def test_finish_reasons_are_told_apart(
        self,
        provider: LoopbackServer,
        model: OpenAILanguageModel,
        said_reason: str,
        reason: FinishReason,
    ) -> None:
        provider.will(answer("Olá", said_reason))
        assert (await model.generate(model_request())).finish_reason is reason


ERRORS: dict[str, tuple[bytes, type[LanguageModelError]]] = {
    "500": (error(500), ModelUnavailable),
    "503 of a proxy": (response(503, b"<html>down</html>"), ModelUnavailable),
    "529": (error(529), ModelUnavailable),
    "409": (error(409), ModelUnavailable),
    "401": (error(401, code="invalid_api_key"), ModelMisconfigured),
    "403": (error(403), ModelMisconfigured),
    "404": (error(404, code="model_not_found"), ModelMisconfigured),
    "moved": (response(307, b"", Location="http://127.0.0.1:1/"), ModelMisconfigured),
    "429": (error(429, code="rate_limit_exceeded"), ModelRateLimited),
    "429 without a body": (response(429, b""), ModelRateLimited),
    "no credit": (error(429, code="insufficient_quota"), ModelQuotaExhausted),
    "402": (error(402), ModelQuotaExhausted),
    "too long, OpenAI": (error(400, code="context_length_exceeded"), ContextTooLong),
    "too long, vLLM": (
        error(400, code=400, message="This model's maximum context length is 4096 tokens."),
        ContextTooLong,
    ),
    "too long, older vLLM": (
        json_response(
            400,
            {"object": "error", "message": "max_tokens must be at least 1, got -186.", "code": 400},
        ),
        ContextTooLong,
    ),
    "too long, llama.cpp": (
        error(400, message="request (9 tokens) exceeds the available context size (5 tokens)"),
        ContextTooLong,
    ),
    "too long, Ollama": (
        json_response(400, {"error": "the input length exceeds the context length"}),
        ContextTooLong,
    ),
    "413": (response(413, b"too large"), ContextTooLong),
    "content filter": (error(400, code="content_filter"), ContentFiltered),
    "400": (error(400, message="unsupported parameter"), ModelRejectedRequest),
    "422": (json_response(422, {"detail": [{"loc": ["body"]}]}), ModelRejectedRequest),
    "huge error": (response(400, b"x" * 10_000_000), ModelRejectedRequest),
    "packed error": (
        response(500, gzip.compress(b"x" * 10_000_000), Content_Encoding="gzip"),
        ModelUnavailable,
    ),
    "an error of status 200": (
        json_response(200, {"error": {"code": 429, "message": "slow down"}}),
        ModelRateLimited,
    ),
    "no JSON": (response(200, b"<html>hello</html>"), ModelReplyMalformed),
    "broken JSON": (response(200, b'{"choices": [{"mess'), ModelReplyMalformed),
    "no UTF-8": (response(200, b'{"choices": "\xff"}'), ModelReplyMalformed),
    "a list": (json_response(200, []), ModelReplyMalformed),
    "no choices": (json_response(200, {"id": "x"}), ModelReplyMalformed),
    "choices of nothing": (json_response(200, {"choices": []}), ModelReplyMalformed),
    "a choice that is none": (json_response(200, {"choices": [7]}), ModelReplyMalformed),
    "content that is no text": (
        json_response(200, completion({"content": ["Olá"]})),
        ModelReplyMalformed,
    ),
    "tool calls that are none": (
        json_response(200, completion({"tool_calls": {"a": 1}})),
        ModelReplyMalformed,
    ),
    "a tool call that is none": (
        json_response(200, completion({"tool_calls": [{"function": {"arguments": {}}, "id": 3}]})),
        ModelReplyMalformed,
    ),
    "a tool call without a name": (
        json_response(200, completion({"tool_calls": [{"id": "a", "function": {}}]})),
        ModelReplyMalformed,
    ),
    "empty": (answer(""), ModelReplyMalformed),
    "blank": (answer(" \n"), ModelReplyMalformed),
    "no body": (response(200, b""), ModelReplyMalformed),
    "no finish reason": (answer("Olá", None), ModelReplyMalformed),
    "an unknown finish reason": (answer("Olá", "abort"), ModelReplyMalformed),
    "filtered answer": (answer("Olá", "content_filter"), ContentFiltered),
    "refusal": (
        json_response(200, completion({"content": None, "refusal": "I cannot."})),
        ContentFiltered,
    ),
    "too large": (answer("x" * MAX_BODY_BYTES), ModelReplyMalformed),
    "no HTTP": (b"SSH-2.0-OpenSSH\r\n\r\n", ModelUnavailable),
}

STREAM_ERRORS: dict[str, tuple[tuple[bytes | None, ...], type[LanguageModelError]]] = {
    "clean end, truncated": (
        (STREAM_HEAD, chunked(event(delta({"content": "Olá"}))), LAST_CHUNK),
        ModelReplyMalformed,
    ),
    "end without a finish reason": (
        (STREAM_HEAD, chunked(event(delta({"content": "Olá"})) + b"data: [DONE]\n\n"), LAST_CHUNK),
        ModelReplyMalformed,
    ),
    "cut": ((STREAM_HEAD, chunked(event(delta({"content": "Olá"}))), CLOSE), ModelUnavailable),
    "error on the way": (
        (STREAM_HEAD, chunked(event({"error": {"message": "overloaded"}})), LAST_CHUNK),
        ModelUnavailable,
    ),
    "broken JSON on the way": (
        (STREAM_HEAD, chunked(b"data: {\n\n"), LAST_CHUNK),
        ModelReplyMalformed,
    ),
    "nothing": ((STREAM_HEAD, LAST_CHUNK), ModelReplyMalformed),
    "only a finish": ((STREAM_HEAD, chunked(event(FINISH)), LAST_CHUNK), ModelReplyMalformed),
    "too large": (
        (event_stream([delta({"content": "x" * 1_000_000})] * 8),),
        ModelReplyMalformed,
    ),
}


class TestFailures:
    @pytest.mark.parametrize(("sent", "kind"), ERRORS.values(), ids=ERRORS)
    async def test_each_error_has_its_name_streamed_or_not_and_is_not_tried_again(
        self,
        provider: LoopbackServer,
        model: OpenAILanguageModel,
        sent: bytes,
        kind: type[LanguageModelError],
    ) -> None:
        for on_text in (None, Listener()):
            provider.will(sent)
            with pytest.raises(LanguageModelError) as failure:
                await model.generate(model_request(), on_text)
            assert type(failure.value) is kind
        assert len(provider.requests) == 2

    @pytest.mark.parametrize(("steps", "kind"), STREAM_ERRORS.values(), ids=STREAM_ERRORS)
    async def test_each_broken_stream_has_its_name(
        self,
        provider: LoopbackServer,
        model: OpenAILanguageModel,
        steps: tuple[bytes | None, ...],
        kind: type[LanguageModelError],
    ) -> None:
        provider.will(*steps)
        with pytest.raises(LanguageModelError) as failure:
            await model.generate(model_request(), Listener())
        assert type(failure.value) is kind
        assert len(provider.requests) == 1

    async def test_of_an_error_only_the_beginning_is_read(
        self, provider: LoopbackServer, model: OpenAILanguageModel
    ) -> None:
        provider.will(error(400, message="x" * 10_000_000)[:100_000], HANG)
        async with asyncio.timeout(5):
            with pytest.raises(ModelRejectedRequest):
                await model.generate(model_request())

    async def test_after_a_failure_the_rest_of_the_answer_is_not_waited_for(
        self, provider: LoopbackServer, model: OpenAILanguageModel
    ) -> None:
        provider.will(STREAM_HEAD, chunked(b"data: {\n\n"), HANG)
        with pytest.raises(ModelReplyMalformed) as failure:
            await model.generate(model_request(), Listener())
        async with asyncio.timeout(5):
            await provider.left.wait()
        # Nor does it take the garbage collector to close the connection.
        assert failure.value.__traceback__

    async def test_after_each_failure_the_model_answers_again(
        self, provider: LoopbackServer, model: OpenAILanguageModel
    ) -> None:
        for steps, _ in STREAM_ERRORS.values():
            provider.will(*steps)
            with pytest.raises(LanguageModelError):
                await model.generate(model_request(), Listener())
            assert (await model.generate(model_request())).parts

    @pytest.mark.parametrize("cut", [b"", b"HTTP/1.1 200 OK\r\n"])
    async def test_a_connection_that_breaks_before_the_headers_is_no_timeout(
        self, provider: LoopbackServer, model: OpenAILanguageModel, cut: bytes
    ) -> None:
        provider.will(cut, CLOSE)
        with pytest.raises(ModelUnavailable):
            await model.generate(model_request())
        assert len(provider.requests) == 1

    async def test_a_body_that_is_cut_is_a_broken_connection(
        self, provider: LoopbackServer, model: OpenAILanguageModel
    ) -> None:
        provider.will(answer("Olá")[:-5], CLOSE)
        with pytest.raises(ModelUnavailable):
            await model.generate(model_request())

    async def test_where_nobody_listens_it_is_unavailable(self, provider: LoopbackServer) -> None:
        provider.url = "http://127.0.0.1:9/v1"
        model = openai_model(provider)
        with pytest.raises(ModelUnavailable):
            await model.generate(model_request())
        await model.aclose()

    async def test_once_closed_it_is_unavailable(self, model: OpenAILanguageModel) -> None:
        await model.generate(model_request())
        await model.aclose()
        with pytest.raises(ModelUnavailable):
            await model.generate(model_request())

    @pytest.mark.parametrize(
        "steps",
        [
            (HANG,),
            (b"HTTP/1.1 200 OK\r\n", HANG),
            (answer("Olá")[:-5], HANG),
            (STREAM_HEAD, HANG),
            (STREAM_HEAD, *(chunked(b": keep-alive\n\n"), 0.05) * 40),
            (STREAM_HEAD, *(chunked(event(delta({"content": "a"}))), 0.05) * 40),
            (b"HTTP/1.1 500 No\r\nContent-Length: 9\r\n\r\n", HANG),
        ],
        ids=["headers", "more headers", "body", "stream", "drip", "drip of words", "error"],
    )
    async def test_a_provider_that_stalls_is_left_at_the_deadline(
        self,
        provider: LoopbackServer,
        model: OpenAILanguageModel,
        on_text: OnText | None,
        steps: tuple[bytes | float | None, ...],
    ) -> None:
        provider.will(*steps)
        started = time.monotonic()
        with pytest.raises(ModelTimedOut):
            await model.generate(model_request(seconds=0.2), on_text)
        assert time.monotonic() - started < 1.2

    @pytest.mark.parametrize("steps", [(HANG,), (STREAM_HEAD, HANG)], ids=["headers", "stream"])
    async def test_being_cancelled_stays_that_and_closes_the_connection(
        self, provider: LoopbackServer, model: OpenAILanguageModel, steps: tuple[bytes | float, ...]
    ) -> None:
        provider.will(*steps)
        call = asyncio.create_task(model.generate(model_request(), Listener()))
        await provider.asked.wait()
        await asyncio.sleep(0.05)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert (await model.generate(model_request())).parts
        assert provider.connections == 2

    @pytest.mark.parametrize(
        ("headers", "seconds"),
        [
            ({"Retry_After": "1"}, 1.0),
            ({"Retry_After": "3600"}, 3600.0),
            ({"Retry_After": "0.5"}, 0.5),
            ({"retry_after_ms": "1500", "Retry_After": "2"}, 1.5),
            ({"Retry_After": "-1"}, None),
            ({"Retry_After": "nan"}, None),
            ({"Retry_After": "inf"}, None),
            ({"Retry_After": "999999999"}, None),
            ({"Retry_After": "soon"}, None),
            ({"Retry_After": "Mon, 01 Jan 2001 00:00:00 GMT"}, None),
            ({"Retry_After": "Mon, 01 Jan 99999 00:00:00 GMT"}, None),
            ({"Retry_After": "Mon, 41 Jan 2031 77:00:00 GMT"}, None),
            ({}, None),
        ],
    )
    async def test_when_to_come_back_is_kept_where_it_makes_sense(
        self,
        provider: LoopbackServer,
        model: OpenAILanguageModel,
        headers: dict[str, str],
        seconds: float | None,
    ) -> None:
        provider.will(error(429, **headers))
        with pytest.raises(ModelRateLimited) as failure:
            await model.generate(model_request())
        assert failure.value.retry_after == seconds

    async def test_when_to_come_back_may_be_a_date(
        self, provider: LoopbackServer, model: OpenAILanguageModel
    ) -> None:
        later = format_datetime(datetime.now(UTC) + timedelta(seconds=90))
        for date in (later, later.replace("+0000", "GMT"), later.replace("+0000", "-0000")):
            provider.will(error(429, Retry_After=date))
            with pytest.raises(ModelRateLimited) as failure:
                await model.generate(model_request())
            assert failure.value.retry_after == pytest.approx(90, abs=5)

    async def test_a_host_that_does_not_take_the_connection_is_left_soon(
        self, provider: LoopbackServer, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("prosa.adapters.openai.language_model.CONNECT_SECONDS", 0.2)
        with socket.socket() as deaf, socket.socket() as waiting:
            deaf.bind(("127.0.0.1", 0))
            deaf.listen(0)
            # It fills the queue of connections that nobody accepts.
            waiting.connect(deaf.getsockname())
            provider.url = f"http://127.0.0.1:{deaf.getsockname()[1]}/v1"
            model = openai_model(provider)
            with pytest.raises(ModelTimedOut, match="did not answer in time"):
                await model.generate(model_request())
            await model.aclose()

    async def test_no_error_holds_the_key_the_words_or_the_providers_answer(
        self, provider: LoopbackServer, model: OpenAILanguageModel, on_text: OnText | None
    ) -> None:
        request = model_request(said(Role.USER, "My password is xyzzy."))
        for status in (400, 401, 429, 500):
            provider.will(error(status, message="You said xyzzy under sk-secret. Plugh."))
            with pytest.raises(LanguageModelError) as failure:
                await model.generate(replace(request, budget=model_request().budget), on_text)
            logged = "".join(traceback.format_exception(failure.value))
            assert not [word for word in ("xyzzy", "plugh", KEY, "sk-secret") if word in logged]

    @pytest.mark.parametrize("key", ["", "sk-with\nnewline", "sk-é"])
    async def test_a_key_that_no_header_can_carry_is_never_sent(
        self, provider: LoopbackServer, key: str
    ) -> None:
        async def odd() -> str:
            return key

        model = openai_model(provider, key=Secret(read=odd))
        with pytest.raises(ModelMisconfigured) as failure:
            await model.generate(model_request())
        assert not key or key not in str(failure.value)
        assert not provider.requests
        await model.aclose()

    async def test_text_that_is_not_unicode_is_never_sent(
        self, provider: LoopbackServer, model: OpenAILanguageModel
    ) -> None:
        request = model_request(said(Role.USER, "\ud800"))
        with pytest.raises(ModelRejectedRequest):
            await model.generate(request)
        assert not provider.requests
        assert request.budget.remaining == model_request().budget.remaining


class TestConfiguration:
    def test_openai_itself_needs_a_key(self) -> None:
        with pytest.raises(ConfigurationError, match="gpt-4o-mini needs an API key"):
            OpenAILanguageModel(
                model="gpt-4o-mini", context_tokens=1, clock=lambda: datetime.now(UTC)
            )

    @pytest.mark.parametrize(
        "url", ["", "localhost:11434", "ftp://example.com", "http://", "http://[::1"]
    )
    def test_a_base_url_that_is_none_is_refused(self, url: str) -> None:
        with pytest.raises(ConfigurationError, match="is not an http"):
            OpenAILanguageModel(
                model="m", context_tokens=1, clock=lambda: datetime.now(UTC), base_url=url
            )

    async def test_it_says_who_it_is(self, model: OpenAILanguageModel) -> None:
        assert model.name == "openai:gpt-4o-mini"
        assert model.context_tokens == 128_000
        assert model.needs_alternating_roles

    async def test_openai_itself_knows_the_new_limit_and_needs_no_turns(self) -> None:
        model = OpenAILanguageModel(
            model="gpt-4o-mini",
            context_tokens=128_000,
            clock=lambda: datetime.now(UTC),
            api_key=API_KEY,
        )
        assert not model.needs_alternating_roles
        assert b'"max_completion_tokens":8' in model._body(model_request(), streamed=False)
        await model.aclose()
