"""Language models, seen: Chain(Fallback([Link(Retrying(CircuitBroken(Traced(model)))), …])).

Each call to a provider has a span. Which call it is, and what came before it in the same request,
is known by the notes of the request, which the chain begins.
"""

import time
from collections.abc import Coroutine
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Final

from opentelemetry.trace import Span, SpanKind, get_current_span
from opentelemetry.util.types import Attributes

from prosa.adapters.opentelemetry import gen_ai_names as gen_ai
from prosa.adapters.opentelemetry import names
from prosa.adapters.opentelemetry.content import (
    Redact,
    answer_of,
    instructions_of,
    messages_of,
)
from prosa.adapters.opentelemetry.metrics import Metrics
from prosa.adapters.opentelemetry.spans import ATTEMPT, Tracing, is_kept
from prosa.adapters.wrapped_language_model import WrappedLanguageModel
from prosa.application.ports.language_model import (
    LanguageModel,
    LanguageModelError,
    ModelRequest,
    OnText,
)
from prosa.domain.reply import Reply

BROKEN: Final = "error"
"""The finish reason of an answer that broke off."""


@dataclass(slots=True)
class _Notes:
    """What has come of one request down a chain so far."""

    called: list[str] = field(default_factory=list)
    """The models whose providers were called."""
    failed: list[tuple[str, str]] = field(default_factory=list)
    """The models that gave no answer, and of what error."""


_NOTES: ContextVar[_Notes | None] = ContextVar("notes", default=None)


class TracedChain(WrappedLanguageModel):
    """A whole chain: takes notes of each request."""

    def generate(
        self, request: ModelRequest, on_text: OnText | None = None
    ) -> Coroutine[Any, Any, Reply]:
        """Answer; see the port. The notes count until this task begins the next request."""
        _NOTES.set(_Notes())
        return self._model.generate(request, on_text)


class TracedLink(WrappedLanguageModel):
    """One model of a chain, with retry and breaker: tells when it is asked in another's place."""

    def __init__(self, model: LanguageModel, metrics: Metrics) -> None:
        super().__init__(model)
        self._metrics = metrics

    async def generate(self, request: ModelRequest, on_text: OnText | None = None) -> Reply:
        """Answer; see the port."""
        notes = _NOTES.get()
        if notes is None:
            return await self._model.generate(request, on_text)
        if notes.failed:
            self._tell_fallback(*notes.failed[-1])
        try:
            return await self._model.generate(request, on_text)
        except LanguageModelError as error:
            notes.failed.append((self.name, type(error).__name__))
            raise

    def _tell_fallback(self, model: str, error: str) -> None:
        self._metrics.fallback(model, self.name, error)
        attributes = {names.MODEL: model, names.FALLBACK_MODEL: self.name, names.ERROR_TYPE: error}
        get_current_span().add_event(names.FALLBACK, attributes)


class TracedLanguageModel(WrappedLanguageModel):
    """A bare model: each call has a span, and is measured."""

    def __init__(
        self,
        model: LanguageModel,
        tracing: Tracing,
        metrics: Metrics,
        redact: Redact | None = None,
    ) -> None:
        """Without `redact` nothing that was said is kept."""
        super().__init__(model)
        self._tracing = tracing
        self._metrics = metrics
        self._redact = redact
        self._provider, self._request_model = gen_ai.provider_and_model(model.name)
        self._measured = {
            gen_ai.OPERATION: gen_ai.CHAT,
            gen_ai.PROVIDER: self._provider,
            gen_ai.REQUEST_MODEL: self._request_model,
        }
        self._span_name = f"{gen_ai.CHAT} {self._request_model}"

    async def generate(self, request: ModelRequest, on_text: OnText | None = None) -> Reply:
        """Answer; see the port."""
        call = _Call(on_text)
        generate = self._seen if is_kept() else self._unseen
        error = ""
        try:
            reply = await generate(request, call)
        except BaseException as failure:
            error = type(failure).__name__
            raise
        finally:
            self._measure(call, error)
        self._metrics.tokens(self._provider, self._request_model, reply.usage)
        return reply

    def _unseen(self, request: ModelRequest, call: "_Call") -> Coroutine[Any, Any, Reply]:
        return self._model.generate(request, call.hear if call.streamed else None)

    async def _seen(self, request: ModelRequest, call: "_Call") -> Reply:
        which = self._which_call()
        with self._tracing.step(self._span_name, SpanKind.CLIENT) as span:
            await self._describe_request(span, request, call, which)
            try:
                reply = await self._unseen(request, call)
            except BaseException:
                _describe_failure(span, call)
                raise
            await self._describe_reply(span, request, reply, call)
            return reply

    def _which_call(self) -> str:
        """Say whether this model was asked before in the same request, or another one."""
        notes = _NOTES.get()
        if notes is None:
            return "first"
        asked_again = self.name in notes.called
        notes.called.append(self.name)
        if asked_again:
            return "retry"
        return "fallback" if notes.failed else "first"

    async def _describe_request(
        self, span: Span, request: ModelRequest, call: "_Call", which: str
    ) -> None:
        span.set_attributes(
            {
                **(ATTEMPT.get() or {}),
                **self._measured,
                names.CALL: which,
                gen_ai.MAX_TOKENS: request.max_output_tokens,
                gen_ai.TEMPERATURE: request.temperature,
                gen_ai.STREAM: call.streamed,
                gen_ai.OUTPUT_TYPE: "json" if request.answer_format else "text",
            }
        )
        if self._redact is not None:
            span.set_attributes(
                {
                    gen_ai.SYSTEM_INSTRUCTIONS: await instructions_of(request, self._redact),
                    gen_ai.INPUT_MESSAGES: await messages_of(request, self._redact),
                }
            )

    async def _describe_reply(
        self, span: Span, request: ModelRequest, reply: Reply, call: "_Call"
    ) -> None:
        span.set_attributes(
            {
                gen_ai.RESPONSE_MODEL: reply.model,
                gen_ai.FINISH_REASONS: (str(reply.finish_reason),),
                gen_ai.INPUT_TOKENS: reply.usage.input_tokens,
                gen_ai.OUTPUT_TOKENS: reply.usage.output_tokens,
                gen_ai.CACHED_INPUT_TOKENS: reply.usage.cached_input_tokens,
                **call.first_chunk(),
            }
        )
        if self._redact is not None:
            answer = await answer_of(reply, request.tenant_id, self._redact)
            span.set_attribute(gen_ai.OUTPUT_MESSAGES, answer)

    def _measure(self, call: "_Call", error: str) -> None:
        self._metrics.model_call(call.seconds(), self._provider, self._request_model, error)
        if call.first_after is not None:
            self._metrics.first_chunk(call.first_after, self._provider, self._request_model)


class _Call:
    """One call's times, in seconds since it began."""

    __slots__ = ("_began_at", "_on_text", "first_after")

    def __init__(self, on_text: OnText | None) -> None:
        self._on_text = on_text
        self._began_at = time.perf_counter()
        self.first_after: float | None = None
        """When the first text came, of a streamed answer."""

    @property
    def streamed(self) -> bool:
        return self._on_text is not None

    def seconds(self) -> float:
        return time.perf_counter() - self._began_at

    async def hear(self, text: str) -> None:
        if self.first_after is None and text:
            self.first_after = self.seconds()
        if self._on_text is not None:
            await self._on_text(text)

    def first_chunk(self) -> dict[str, float]:
        known = self.first_after
        return {} if known is None else {gen_ai.TIME_TO_FIRST_CHUNK: known}


def _describe_failure(span: Span, call: _Call) -> None:
    attributes: Attributes = {gen_ai.FINISH_REASONS: (BROKEN,), **call.first_chunk()}
    span.set_attributes(attributes or {})


def tell_breaker_moved(metrics: Metrics, model: str, before: str, after: str) -> None:
    """Tell that a breaker moved: within the call that moved it."""
    metrics.breaker_moved(model, before, after)
    attributes = {
        names.MODEL: model,
        names.BREAKER_BEFORE: before,
        names.BREAKER_AFTER: after,
    }
    get_current_span().add_event(names.BREAKER_MOVED, attributes)
