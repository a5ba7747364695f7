"""Answers what Bedrock is asked by any language model of Prosa's, whole or as it writes."""

import asyncio
import json
from collections.abc import AsyncGenerator, Iterable, Iterator
from datetime import timedelta

from embedded_aws.bedrock import wire_format
from embedded_aws.bedrock.refusals import what_is_wrong
from embedded_aws.loopback_server import LAST_CHUNK, Answerer, Json, Received, Step, chunked
from prosa.application.ports.language_model import (
    AnswerFormat,
    CallBudget,
    ContextTooLong,
    LanguageModel,
    LanguageModelError,
    ModelRequest,
)
from prosa.domain.content import Part, Text, ToolCall, ToolResult, text_of
from prosa.domain.identifiers import DEFAULT_TENANT, Clock
from prosa.domain.message import Role, Utterance
from prosa.domain.reply import FinishReason, Reply, TokenUsage

SECONDS = 60.0
"""The longest that the model writes; whoever asks gives up long before."""

MAX_TOKENS = 512
"""Of an answer, where the request says nothing."""

_STOP_REASONS = {FinishReason.STOP: "end_turn", FinishReason.LENGTH: "max_tokens"}


def answered_by(model: LanguageModel, clock: Clock) -> Answerer:
    """Have a model answer; what Bedrock would refuse is refused."""

    async def answer(received: Received) -> AsyncGenerator[Step]:
        operation = wire_format.operation(received)
        if operation not in {"converse", "converse-stream"}:
            yield wire_format.error(404, "UnknownOperationException", "Only Converse is there.")
            return
        try:
            fault = what_is_wrong(received.body)
            request = model_request(received.body, clock)
        except (KeyError, TypeError, ValueError):
            fault = "The embedded Bedrock takes words and tools, and nothing else."
        if fault:
            yield wire_format.error(400, "ValidationException", fault)
        elif operation == "converse-stream":
            async for step in _streamed(model, request):
                yield step
        else:
            yield await _whole(model, request, _tool_to_call(received.body))

    return answer


async def _whole(model: LanguageModel, request: ModelRequest, tool: Json | None) -> bytes:
    try:
        reply = await model.generate(request)
    except LanguageModelError as failure:
        return _refused(failure)
    text, usage = text_of(reply.parts), _usage(reply.usage)
    if tool is None:
        answer = wire_format.converse_answer(
            {"text": text}, stop_reason=_stop_reason(reply), usage=usage
        )
    else:
        called = wire_format.tool_use(tool["name"], _object_in(text))
        answer = wire_format.converse_answer(called, stop_reason="tool_use", usage=usage)
    return wire_format.json_answer(answer)


async def _streamed(model: LanguageModel, request: ModelRequest) -> AsyncGenerator[Step]:
    """Send each piece when it is written; the head only then, since a failure has another."""
    pieces: asyncio.Queue[str | None] = asyncio.Queue()
    call = asyncio.create_task(model.generate(request, pieces.put))
    call.add_done_callback(lambda _: pieces.put_nowait(None))
    head = wire_format.STREAM_HEAD + chunked(wire_format.begun())
    try:
        while (text := await pieces.get()) is not None:
            yield head + chunked(wire_format.text_delta(text))
            head = b""
        reply = await call
    except LanguageModelError as failure:
        yield _refused(failure) if head else _broken_off()
    else:
        events = wire_format.ended(_stop_reason(reply), _usage(reply.usage))
        yield b"".join((head, *map(chunked, events), LAST_CHUNK))
    finally:
        call.cancel()


def _refused(failure: LanguageModelError) -> bytes:
    if isinstance(failure, ContextTooLong):
        message = "Input is too long for requested model."
        return wire_format.error(400, "ValidationException", message)
    return wire_format.error(503, "ServiceUnavailableException", "The model behind it failed.")


def _broken_off() -> bytes:
    told = wire_format.stream_exception("modelStreamErrorException", "The model behind it failed.")
    return chunked(told) + LAST_CHUNK


def model_request(body: Json, clock: Clock) -> ModelRequest:
    """Read a Converse request."""
    config = body.get("inferenceConfig", {})
    return ModelRequest(
        tenant_id=DEFAULT_TENANT,
        instructions="\n\n".join(block["text"] for block in body.get("system", ())),
        utterances=tuple(_utterances(body["messages"])),
        deadline=clock() + timedelta(seconds=SECONDS),
        max_output_tokens=config.get("maxTokens", MAX_TOKENS),
        temperature=config.get("temperature", 1.0),
        budget=CallBudget(),
        answer_format=_answer_format(body),
    )


def _utterances(messages: Iterable[Json]) -> Iterator[Utterance]:
    """Read the conversation; results of tools, which stand in the user's messages, come first."""
    for message in messages:
        parts = [_part(block) for block in message["content"]]
        results = tuple(part for part in parts if isinstance(part, ToolResult))
        others = tuple(part for part in parts if not isinstance(part, ToolResult))
        if results:
            yield Utterance(role=Role.TOOL, parts=results)
        if others:
            yield Utterance(role=Role(message["role"]), parts=others)


def _part(block: Json) -> Part:
    if "toolUse" in block:
        used = block["toolUse"]
        return ToolCall(
            id=used["toolUseId"], name=used["name"], arguments=json.dumps(used["input"])
        )
    if "toolResult" in block:
        result = block["toolResult"]
        content = "".join(part.get("text", "") for part in result["content"])
        return ToolResult(call_id=result["toolUseId"], content=content)
    return Text(text=block["text"])


def _answer_format(body: Json) -> AnswerFormat | None:
    """Find the schema that an answer has to fit: its own, or that of a tool that is forced."""
    if tool := _tool_to_call(body):
        return AnswerFormat(name=tool["name"], schema=json.dumps(tool["inputSchema"]["json"]))
    if "outputConfig" in body:
        named = body["outputConfig"]["textFormat"]["structure"]["jsonSchema"]
        return AnswerFormat(name=named["name"], schema=named["schema"])
    return None


def _tool_to_call(body: Json) -> Json | None:
    config = body.get("toolConfig", {})
    name = config.get("toolChoice", {}).get("tool", {}).get("name")
    specs = [tool["toolSpec"] for tool in config.get("tools", ())]
    return next((spec for spec in specs if spec["name"] == name), None)


def _object_in(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return {}  # the model was cut off amid it


def _stop_reason(reply: Reply) -> str:
    return _STOP_REASONS.get(reply.finish_reason, "end_turn")


def _usage(usage: TokenUsage) -> Json:
    """Write a usage: `inputTokens` is without what came from the cache."""
    return {
        "inputTokens": usage.input_tokens - usage.cached_input_tokens,
        "outputTokens": usage.output_tokens,
        "totalTokens": usage.input_tokens + usage.output_tokens,
        "cacheReadInputTokens": usage.cached_input_tokens,
    }
