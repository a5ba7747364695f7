"""Chat completions, the JSON that OpenAI defined and llama.cpp speaks too, and our types.

Shapes: https://platform.openai.com/docs/api-reference/chat. What a provider sends is never quoted
in an error: it may hold the customer's words.
"""

import json
import re
from dataclasses import dataclass
from typing import assert_never

from prosa.application.ports.language_model import (
    AnswerFormat,
    ContentFiltered,
    ContextTooLong,
    LanguageModelError,
    ModelMisconfigured,
    ModelQuotaExhausted,
    ModelRateLimited,
    ModelRejectedRequest,
    ModelReplyMalformed,
    ModelRequest,
    ModelUnavailable,
)
from prosa.domain.content import Part, Text, ToolCall, ToolResult, text_of
from prosa.domain.message import Role, Utterance
from prosa.domain.reply import FinishReason, Reply, TokenUsage

Json = dict[str, object]

_FINISH_REASONS = {
    "stop": FinishReason.STOP,
    "length": FinishReason.LENGTH,
    "tool_calls": FinishReason.TOOL_CALLS,
    "function_call": FinishReason.TOOL_CALLS,
}
_REDIRECTS = 300
_CLIENT_ERRORS = 400
_PAYMENT_REQUIRED = 402
_CONTENT_TOO_LARGE = 413
_TOO_MANY_REQUESTS = 429
_SERVER_ERRORS = 500
_PASSING = {408, 409, 424}
_MISCONFIGURED = {
    401: "does not accept the API key",
    403: "gives this API key no permission",
    404: "does not exist, or the base URL is wrong",
    405: "does not exist at this base URL",
}
_QUOTA_CODES = {"insufficient_quota", "billing_hard_limit_reached", "billing_not_active"}
_FILTER_CODES = {"content_filter", "content_policy_violation", "invalid_prompt"}
_TOO_LONG = re.compile(
    # OpenAI and vLLM: "maximum context length is"; llama.cpp: "exceeds the available context
    # size"; Ollama: "exceeds the context length"; vLLM also by the two texts at the end.
    r"context_length_exceeded|exceed_context_size|context (?:length|size|window)"
    r"|maximum model length|max_tokens must be at least 1, got -",
    re.IGNORECASE,
)
_BEGINNING = 500
"""Characters of an error's text that are searched: what follows may echo the conversation."""


def request_body(request: ModelRequest) -> Json:
    """Write a request, all but what differs between servers: model, limit of output, stream."""
    messages: list[Json] = []
    if request.instructions:
        messages.append({"role": "system", "content": request.instructions})
    for utterance in request.utterances:
        messages += _messages_of(utterance)
    body: Json = {"messages": messages, "temperature": request.temperature}
    if request.answer_format:
        body["response_format"] = _response_format(request.answer_format)
    return body


def _messages_of(utterance: Utterance) -> list[Json]:
    """Write one utterance: one message, but one for each result of a tool."""
    match utterance.role:
        case Role.USER:
            return [{"role": "user", "content": text_of(utterance.parts)}]
        case Role.ASSISTANT | Role.AGENT:
            return [_assistant_message(utterance.parts)]
        case Role.TOOL:
            return [
                {"role": "tool", "tool_call_id": part.call_id, "content": part.content}
                for part in utterance.parts
                if isinstance(part, ToolResult)
            ]
        case _:
            assert_never(utterance.role)


def _assistant_message(parts: tuple[Part, ...]) -> Json:
    message: Json = {"role": "assistant", "content": text_of(parts)}
    calls = [_call_written(part) for part in parts if isinstance(part, ToolCall)]
    if calls:
        message["content"] = message["content"] or None
        message["tool_calls"] = calls
    return message


def _call_written(call: ToolCall) -> Json:
    function = {"name": call.name, "arguments": call.arguments}
    return {"id": call.id, "type": "function", "function": function}


def _response_format(answer_format: AnswerFormat) -> Json:
    schema = json.loads(answer_format.schema)
    named = {"name": answer_format.name, "strict": True, "schema": schema}
    return {"type": "json_schema", "json_schema": named}


@dataclass(slots=True)
class _GrowingCall:
    id: str = ""
    name: str = ""
    arguments: str = ""


class Completion:
    """Collects an answer: the one object of a plain call, or the chunks of a streamed one.

    `source` names the model in errors.
    """

    def __init__(self, source: str) -> None:
        self._source = source
        self._texts: list[str] = []
        self._calls: dict[int, _GrowingCall] = {}
        self._finish_reason: str | None = None
        self._refused = False
        self._usage = TokenUsage()

    def add(self, answer: object) -> str:
        """Take in an answer, or a chunk of one, and return the text that it adds.

        Raises ModelReplyMalformed where it is not what it should be, and what `failure` says where
        it reports an error.
        """
        answer = self._object(answer)
        if answer.get("error") or answer.get("object") == "error":
            raise failure(answer, status=None, source=self._source)
        if isinstance(usage := answer.get("usage"), dict):
            self._usage = _usage(usage)
        choices = answer.get("choices")
        if not isinstance(choices, list):
            raise self._malformed("has no choices")
        return self._add_choice(self._object(choices[0])) if choices else ""

    def _add_choice(self, choice: Json) -> str:
        if (reason := choice.get("finish_reason")) is not None:
            self._finish_reason = str(reason)
        message = self._object(choice.get("delta") or choice.get("message") or {})
        if message.get("refusal"):
            self._refused = True
        if calls := message.get("tool_calls"):
            self._add_calls(calls)
        text = message.get("content") or ""
        if not isinstance(text, str):
            raise self._malformed("has content that is no text")
        self._texts.append(text)
        return text

    def _add_calls(self, calls: object) -> None:
        if not isinstance(calls, list):
            raise self._malformed("has tool calls that are no list")
        for position, fragment in enumerate(calls):
            self._add_call(self._object(fragment), position)

    def _add_call(self, fragment: Json, position: int) -> None:
        """Join a tool call's fragment to those of the same index; a whole call has no index."""
        index = fragment.get("index", position)
        function = self._object(fragment.get("function") or {})
        name, arguments = function.get("name") or "", function.get("arguments") or ""
        call_id = fragment.get("id") or ""
        strings = isinstance(name, str) and isinstance(arguments, str) and isinstance(call_id, str)
        if not strings or not isinstance(index, int):
            raise self._malformed("has a tool call that is none")
        call = self._calls.setdefault(index, _GrowingCall())
        call.id = call.id or str(call_id)
        call.name = call.name or str(name)
        call.arguments += str(arguments)

    def reply(self, *, provider: str, model: str) -> Reply:
        """Give the whole reply.

        Raises ModelReplyMalformed where it is empty or broken off, ContentFiltered where the
        provider, or the model itself, refused to answer.
        """
        if self._refused or self._finish_reason == "content_filter":
            raise ContentFiltered(f"{self._source} refused to answer: content filter")
        if self._finish_reason is None:
            raise self._malformed("broke off: it has no finish reason")
        finish_reason = _FINISH_REASONS.get(self._finish_reason)
        if finish_reason is None:
            raise self._malformed("has an unknown finish reason")
        parts = self._parts()
        if not parts:
            raise self._malformed("is empty")
        return Reply(
            parts=parts,
            # Some servers say "stop" of a reply that calls a tool.
            finish_reason=FinishReason.TOOL_CALLS if self._calls else finish_reason,
            provider=provider,
            model=model,
            usage=self._usage,
        )

    def _parts(self) -> tuple[Part, ...]:
        text = "".join(self._texts)
        parts: list[Part] = [Text(text=text)] if text.strip() or (text and self._calls) else []
        for _, call in sorted(self._calls.items()):
            if not call.name:
                raise self._malformed("has a tool call without a name")
            parts.append(ToolCall(id=call.id, name=call.name, arguments=call.arguments or "{}"))
        return tuple(parts)

    def _object(self, value: object) -> Json:
        if not isinstance(value, dict):
            raise self._malformed("is not of the shape that it should be")
        return value

    def _malformed(self, what: str) -> ModelReplyMalformed:
        return ModelReplyMalformed(f"the answer of {self._source} {what}")


def _usage(usage: Json) -> TokenUsage:
    """Read a usage; what is missing or no number counts as zero."""
    details = usage.get("prompt_tokens_details")
    cached = _count(details.get("cached_tokens")) if isinstance(details, dict) else 0
    prompt = _count(usage.get("prompt_tokens"))
    return TokenUsage(
        input_tokens=prompt,
        output_tokens=_count(usage.get("completion_tokens")),
        cached_input_tokens=min(cached, prompt),
    )


def _count(value: object) -> int:
    return value if type(value) is int and value > 0 else 0


def failure(
    answer: object,
    *,
    status: int | None,
    source: str,
    retry_after: float | None = None,
) -> LanguageModelError:
    """Say which failure an error's body and HTTP status mean.

    Without a status, that which the body names counts. `retry_after`: seconds, if it is known.
    """
    error = _error_of(answer)
    status = status or _status_of(error)
    codes = {str(error.get("code")), str(error.get("type"))}
    if status == _TOO_MANY_REQUESTS and not codes & _QUOTA_CODES:
        return ModelRateLimited(f"{source} takes no more requests for now", retry_after)
    text = f"{codes} {error.get('message')}"[:_BEGINNING]
    kind, what = _diagnosis(status, codes, text)
    return kind(f"{source} {what} ({status})")


def _diagnosis(status: int, codes: set[str], text: str) -> tuple[type[LanguageModelError], str]:
    """Say which failure it is, and what happened; the first line that applies counts."""
    table = (
        (codes & _QUOTA_CODES or status == _PAYMENT_REQUIRED, ModelQuotaExhausted, "has no credit"),
        (codes & _FILTER_CODES, ContentFiltered, "refused the conversation by its content filter"),
        (status in _MISCONFIGURED, ModelMisconfigured, _MISCONFIGURED.get(status, "")),
        (_REDIRECTS <= status < _CLIENT_ERRORS, ModelMisconfigured, "is elsewhere: wrong base URL"),
        (status == _CONTENT_TOO_LARGE, ContextTooLong, "finds the conversation too long"),
        (_TOO_LONG.search(text), ContextTooLong, "finds the conversation too long"),
        (status in _PASSING or status >= _SERVER_ERRORS, ModelUnavailable, "failed"),
        (True, ModelRejectedRequest, "refused the request"),
    )
    return next((kind, what) for applies, kind, what in table if applies)


def _error_of(answer: object) -> Json:
    """Take the error out of the body of one; some servers send it bare, some as a text."""
    error = answer.get("error", answer) if isinstance(answer, dict) else answer
    return error if isinstance(error, dict) else {"message": error}


def _status_of(error: Json) -> int:
    code = error.get("code")
    return code if isinstance(code, int) else _SERVER_ERRORS
