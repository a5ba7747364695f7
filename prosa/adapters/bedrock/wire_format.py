"""Converse and ConverseStream, and our types.

Shapes: https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html. What a
model sends is never quoted in an error: it may hold the customer's words.
"""

import json
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import dropwhile

from prosa.adapters.bedrock.model_families import AnswerMeans, ModelFamily, Tools
from prosa.application.ports.language_model import (
    AnswerFormat,
    ContentFiltered,
    ContextTooLong,
    ModelReplyMalformed,
    ModelRequest,
)
from prosa.domain.content import Part, Text, ToolCall, ToolResult, text_of
from prosa.domain.message import Role, Utterance
from prosa.domain.reply import FinishReason, Reply, TokenUsage

Json = dict[str, object]

MAX_ANSWER_CHARACTERS = 8_000_000
"""The longest answer that is collected."""

_CONTEXT_EXCEEDED = "model_context_window_exceeded"
_FINISH_REASONS = {
    "end_turn": FinishReason.STOP,
    "stop_sequence": FinishReason.STOP,
    "max_tokens": FinishReason.LENGTH,
    _CONTEXT_EXCEEDED: FinishReason.LENGTH,
    "tool_use": FinishReason.TOOL_CALLS,
}
_FILTERS = {"guardrail_intervened", "content_filtered"}

_ONLY_JSON = """{instructions}

Answer with one JSON value that fits this JSON Schema, and with nothing else:
{schema}"""

_ANY_OBJECT: Json = {"type": "object"}
_NOT_IN_NAMES = re.compile(r"[^a-zA-Z0-9_-]")
_NOT_IN_METADATA = re.compile(r"[^a-zA-Z0-9\s:_@$#=/+,.-]")
_LONGEST_METADATA = 256
_LONGEST_NAME = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardrailReference:
    """A Bedrock guardrail: its id or ARN, and a version's number or `DRAFT`."""

    id: str
    version: str


def converse_request(
    request: ModelRequest,
    *,
    model_id: str,
    family: ModelFamily,
    guardrail: GuardrailReference | None = None,
) -> Json:
    """Write a request as what `converse` and `converse_stream` of boto3 take."""
    paired = _paired(request.utterances) if family.tools is not Tools.WORDS else frozenset[str]()
    instructions = _instructions(request, family)
    messages = _messages(request.utterances, paired)
    if instructions and messages and not family.takes_instructions:
        messages[0].blocks.insert(0, {"text": instructions})
    written: Json = {
        "modelId": model_id,
        "messages": [{"role": each.role, "content": each.blocks} for each in messages],
        "inferenceConfig": _inference_config(request, family),
        "requestMetadata": _metadata(request),
    }
    if instructions and family.takes_instructions:
        written["system"] = [{"text": instructions}]
    if tool_config := _tool_config(request, family, paired):
        written["toolConfig"] = tool_config
    if request.answer_format and family.answers_by is AnswerMeans.SCHEMA:
        written["outputConfig"] = {"textFormat": _text_format(request.answer_format)}
    if guardrail:
        written["guardrailConfig"] = {
            "guardrailIdentifier": guardrail.id,
            "guardrailVersion": guardrail.version,
            "trace": "disabled",
        }
    return written


def _metadata(request: ModelRequest) -> Json:
    """Say for whom it is, for the account's own records of calls."""
    metadata: Json = {"tenant": metadata_value(request.tenant_id)}
    if request.turn_id is not None:
        metadata["turn"] = metadata_value(request.turn_id)
    return metadata


def metadata_value(text: str) -> str:
    """Put a text into the characters and the length that `requestMetadata` takes."""
    return _NOT_IN_METADATA.sub("_", text)[:_LONGEST_METADATA]


def _instructions(request: ModelRequest, family: ModelFamily) -> str:
    if request.answer_format is None or family.answers_by is not AnswerMeans.WORDS:
        return request.instructions
    schema = request.answer_format.schema
    return _ONLY_JSON.format(instructions=request.instructions, schema=schema).strip()


def _inference_config(request: ModelRequest, family: ModelFamily) -> Json:
    config: Json = {"maxTokens": request.max_output_tokens}
    if family.takes_temperature:
        # Converse knows no more than 1.
        config["temperature"] = min(request.temperature, 1.0)
    return config


def _paired(utterances: Iterable[Utterance]) -> frozenset[str]:
    """Find the calls of tools that have a result: Converse refuses one without the other."""
    parts = [part for utterance in utterances for part in utterance.parts]
    calls = {part.id for part in parts if isinstance(part, ToolCall)}
    return frozenset(calls & {part.call_id for part in parts if isinstance(part, ToolResult)})


@dataclass(frozen=True, slots=True)
class _Message:
    role: str
    blocks: list[Json]


def _messages(utterances: Iterable[Utterance], paired: frozenset[str]) -> list[_Message]:
    """Write the conversation: it starts with the customer, and roles take turns."""
    messages: list[_Message] = []
    for utterance in dropwhile(lambda said: said.role is not Role.USER, utterances):
        role = "assistant" if utterance.role in {Role.ASSISTANT, Role.AGENT} else "user"
        blocks = list(_blocks(utterance.parts, paired))
        if messages and messages[-1].role == role:
            messages[-1].blocks.extend(blocks)
        elif blocks:
            messages.append(_Message(role, blocks))
    return messages


def _blocks(parts: Iterable[Part], paired: frozenset[str]) -> Iterator[Json]:
    """Write what was said: first the words, then tools. Converse refuses blank words."""
    parts = tuple(parts)
    if (text := text_of(parts)).strip():
        yield {"text": text}
    for part in parts:
        if isinstance(part, ToolCall):
            yield _call_written(part) if part.id in paired else _call_in_words(part)
        elif isinstance(part, ToolResult):
            yield _result_written(part) if part.call_id in paired else _result_in_words(part)


def _call_written(call: ToolCall) -> Json:
    return {"toolUse": {"toolUseId": call.id, "name": call.name, "input": _object_of(call)}}


def _object_of(call: ToolCall) -> Json:
    """Read a call's arguments; what is no JSON object is passed on as the text that it is."""
    try:
        arguments = json.loads(call.arguments)
    except ValueError:
        arguments = None
    return arguments if isinstance(arguments, dict) else {"arguments": call.arguments}


def _result_written(result: ToolResult) -> Json:
    content = [{"text": result.content if result.content.strip() else "(nothing)"}]
    return {"toolResult": {"toolUseId": result.call_id, "content": content}}


def _call_in_words(call: ToolCall) -> Json:
    return {"text": f"[The tool {call.name} is asked: {call.arguments}]"}


def _result_in_words(result: ToolResult) -> Json:
    return {"text": f"[A tool answered: {result.content}]"}


def _tool_config(request: ModelRequest, family: ModelFamily, paired: frozenset[str]) -> Json | None:
    """Name the tools in the conversation, as Converse demands, and the one that has to be called.

    What input the conversation's own tools take nobody says, so any will do.
    """
    called = [
        part.name
        for utterance in request.utterances
        for part in utterance.parts
        if isinstance(part, ToolCall) and part.id in paired
    ]
    tools = [_tool(name, _ANY_OBJECT) for name in dict.fromkeys(called)]
    if request.answer_format is None or family.answers_by is not AnswerMeans.FORCED_TOOL:
        return {"tools": tools} if tools else None
    name = _tool_name(request.answer_format)
    tools.append(_tool(name, json.loads(request.answer_format.schema)))
    return {"tools": tools, "toolChoice": {"tool": {"name": name}}}


def _tool(name: str, schema: Json) -> Json:
    return {"toolSpec": {"name": name, "inputSchema": {"json": schema}}}


def _tool_name(answer_format: AnswerFormat) -> str:
    return _NOT_IN_NAMES.sub("_", answer_format.name)[:_LONGEST_NAME]


def _text_format(answer_format: AnswerFormat) -> Json:
    named = {"name": _tool_name(answer_format), "schema": answer_format.schema}
    return {"type": "json_schema", "structure": {"jsonSchema": named}}


@dataclass(slots=True)
class _GrowingCall:
    id: str
    name: str
    arguments: str = ""


class ConverseAnswer:
    """Collects an answer: the one object of a plain call, or the events of a streamed one.

    `source` names the model in errors. What a model reasons before it answers is left out.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._texts: list[str] = []
        self._characters = 0
        self._calls: dict[int, _GrowingCall] = {}
        self._stop_reason: str | None = None
        self._usage = TokenUsage()

    def add_response(self, response: Json) -> None:
        """Take in a whole answer. Raises ModelReplyMalformed where it is none."""
        message = self._object(self._object(response.get("output")).get("message"))
        content = message.get("content")
        if not isinstance(content, list):
            raise self._malformed("has no content")
        for index, block in enumerate(map(self._object, content)):
            self._add_text(block.get("text"))
            if "toolUse" in block:
                self._start_call(index, block["toolUse"])
        self._stop(response)
        self._count(response)

    def add_event(self, event: Json) -> str:
        """Take in an event and return the text that it adds. Raises ModelReplyMalformed."""
        (kind, content), *_ = event.items()
        content = self._object(content)
        if kind == "contentBlockStart":
            self._add_start(content)
        elif kind == "contentBlockDelta":
            return self._add_delta(content)
        elif kind == "messageStop":
            self._stop(content)
        elif kind == "metadata":
            self._count(content)
        return ""

    def reply(self, *, provider: str, model: str) -> Reply:
        """Give the whole reply.

        Raises ModelReplyMalformed where it is empty or broken off, ContentFiltered where a filter
        or a guardrail stopped it, ContextTooLong where nothing fitted after the conversation.
        """
        if self._stop_reason is None:
            raise self._malformed("broke off: it has no stop reason")
        if self._stop_reason in _FILTERS:
            raise ContentFiltered(f"{self._source} stopped: {self._stop_reason}")
        finish_reason = _FINISH_REASONS.get(self._stop_reason)
        if finish_reason is None:
            raise self._malformed("has an unknown stop reason, or one of a model's own fault")
        parts = self._parts()
        if not parts and self._stop_reason == _CONTEXT_EXCEEDED:
            raise ContextTooLong(f"{self._source} finds the conversation too long")
        if not parts:
            raise self._malformed("is empty")
        return Reply(
            parts=parts,
            # Some models say "end_turn" of a reply that calls a tool.
            finish_reason=FinishReason.TOOL_CALLS if self._calls else finish_reason,
            provider=provider,
            model=model,
            usage=self._usage,
        )

    def _add_start(self, content: Json) -> None:
        start = self._object(content.get("start"))
        if "toolUse" in start:
            self._start_call(self._index(content), start["toolUse"])

    def _add_delta(self, content: Json) -> str:
        delta = self._object(content.get("delta"))
        if "toolUse" in delta:
            fragment = self._object(delta["toolUse"]).get("input", "")
            call = self._calls.get(self._index(content))
            if call is None or not isinstance(fragment, str):
                raise self._malformed("has a tool call without a beginning")
            self._grow(fragment)
            call.arguments += fragment
        return self._add_text(delta.get("text"))

    def _add_text(self, text: object) -> str:
        if text is None:
            return ""
        if not isinstance(text, str):
            raise self._malformed("has text that is none")
        self._grow(text)
        self._texts.append(text)
        return text

    def _start_call(self, index: int, tool_use: object) -> None:
        tool_use = self._object(tool_use)
        name, call_id = tool_use.get("name"), tool_use.get("toolUseId")
        if not (isinstance(name, str) and name and isinstance(call_id, str)):
            raise self._malformed("has a tool call without a name")
        arguments = json.dumps(tool_use["input"], ensure_ascii=False) if "input" in tool_use else ""
        self._calls[index] = _GrowingCall(call_id, name, arguments)

    def _grow(self, text: str) -> None:
        self._characters += len(text)
        if self._characters > MAX_ANSWER_CHARACTERS:
            raise self._malformed("is too large")

    def _stop(self, content: Json) -> None:
        reason = content.get("stopReason")
        self._stop_reason = reason if isinstance(reason, str) else None

    def _count(self, content: Json) -> None:
        if isinstance(usage := content.get("usage"), dict):
            self._usage = _usage(usage)

    def _parts(self) -> tuple[Part, ...]:
        text = "".join(self._texts)
        parts: list[Part] = [Text(text=text)] if text.strip() or (text and self._calls) else []
        for _, call in sorted(self._calls.items()):
            arguments = call.arguments or "{}"
            parts.append(ToolCall(id=call.id, name=call.name, arguments=arguments))
        return tuple(parts)

    def _index(self, content: Json) -> int:
        index = content.get("contentBlockIndex")
        if not isinstance(index, int):
            raise self._malformed("has a part without a place")
        return index

    def _object(self, value: object) -> Json:
        if not isinstance(value, dict):
            raise self._malformed("is not of the shape that it should be")
        return value

    def _malformed(self, what: str) -> ModelReplyMalformed:
        return ModelReplyMalformed(f"the answer of {self._source} {what}")


def in_format(reply: Reply, answer_format: AnswerFormat) -> Reply:
    """Make a reply's text the JSON that was asked for, by whichever means it came.

    Words around it are left out. Where there is no JSON the reply stays as it is.
    """
    name = _tool_name(answer_format)
    for part in reply.parts:
        if isinstance(part, ToolCall) and part.name == name:
            return _said(reply, part.arguments)
    found = re.search(r"[{\[].*[}\]]", text_of(reply.parts), re.DOTALL)
    return _said(reply, found[0]) if found else reply


def _said(reply: Reply, text: str) -> Reply:
    called = reply.finish_reason is FinishReason.TOOL_CALLS
    finish_reason = FinishReason.STOP if called else reply.finish_reason
    return replace(reply, parts=(Text(text=text),), finish_reason=finish_reason)


def _usage(usage: Json) -> TokenUsage:
    """Read a usage: `inputTokens` is without what the cache gave or took. Junk counts as zero."""
    cached = _tokens(usage, "cacheReadInputTokens")
    stored = _tokens(usage, "cacheWriteInputTokens")
    return TokenUsage(
        input_tokens=_tokens(usage, "inputTokens") + cached + stored,
        output_tokens=_tokens(usage, "outputTokens"),
        cached_input_tokens=cached,
    )


def _tokens(usage: Json, name: str) -> int:
    count = usage.get(name)
    return count if type(count) is int and count > 0 else 0
