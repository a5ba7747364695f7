"""Spans of a trace, current while a block runs; next to nothing where the trace is not kept.

A block is entered and left by the same frame, and is no generator: no span is ever current across a
`yield`, where whoever iterates would find it.
"""

from collections.abc import Sequence
from contextlib import AbstractContextManager
from contextvars import ContextVar
from secrets import randbits
from types import TracebackType
from typing import Final

from opentelemetry.context import Context, attach, detach, get_current
from opentelemetry.trace import (
    INVALID_SPAN,
    Link,
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    Tracer,
    get_current_span,
    set_span_in_context,
)
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator
from opentelemetry.util.types import Attributes

from prosa.adapters.event_format import TRACEPARENT
from prosa.adapters.opentelemetry import names
from prosa.adapters.opentelemetry.sampling import TraceBudget

_PROPAGATOR: Final = TraceContextTextMapPropagator()
_TRACEPARENT: Final = "traceparent"

_KEPT: ContextVar[bool | None] = ContextVar("kept", default=None)
"""Whether the current trace is kept; None where it is not ours, and OpenTelemetry has to be asked.

Of a thousand turns one is kept: to ask OpenTelemetry a dozen times a turn took 2 % of all of them.
"""


class Block(AbstractContextManager[Span]):
    """A span while a block runs; it says of an error what its class is, and no more."""

    __slots__ = ("_attached", "_known", "span")

    def __init__(self, span: Span) -> None:
        self.span = span

    def __enter__(self) -> Span:
        """Make the span current."""
        self._attached = attach(set_span_in_context(self.span))
        self._known = _KEPT.set(_is_kept(self.span))
        return self.span

    def __exit__(
        self,
        kind: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        """End the span. The error's message stays out: not every one is ours."""
        _KEPT.reset(self._known)
        detach(self._attached)
        if kind is not None:
            fail(self.span, kind.__name__)
        self.span.end()


class _UnkeptBlock(Block):
    """The block of a trace that was not begun: within it none is."""

    __slots__ = ()

    def __enter__(self) -> Span:
        self._known = _KEPT.set(False)
        return self.span

    def __exit__(self, *_: object) -> None:
        """Leave it."""
        _KEPT.reset(self._known)


class _NoBlock(Block):
    """The block of no span: it keeps nothing, so that one serves all."""

    __slots__ = ()

    def __enter__(self) -> Span:
        return self.span

    def __exit__(self, *_: object) -> None:
        """Leave all as it is."""


_NOTHING: Final = _NoBlock(INVALID_SPAN)


class Tracing:
    """Makes spans."""

    def __init__(self, tracer: Tracer, budget: TraceBudget | None = None) -> None:
        """`budget` says whether a trace may begin here; without it, the tracer's sampler does."""
        self._tracer = tracer
        self._budget = budget

    def begin(
        self,
        name: str,
        kind: SpanKind = SpanKind.INTERNAL,
        attributes: Attributes = None,
        *,
        parent: Context | None = None,
        links: Sequence[Link] = (),
    ) -> Block:
        """Go on with the current trace, or `parent`'s, and where there is none, begin one.

        A trace that is not kept counts as one all the same: what is within begins none.
        """
        if parent is None and is_unkept():
            return _NOTHING
        current = _current_span(parent)
        if current.get_span_context().is_valid:
            if not _is_kept(current):
                return Block(NonRecordingSpan(current.get_span_context()))
        elif self._budget and not links and not self._budget.spend():
            return _UnkeptBlock(INVALID_SPAN)
        return Block(
            self._tracer.start_span(name, parent, kind=kind, attributes=attributes, links=links)
        )

    def step(
        self, name: str, kind: SpanKind = SpanKind.INTERNAL, attributes: Attributes = None
    ) -> Block:
        """Go on with the current trace, where it is kept."""
        if not is_kept():
            return _NOTHING
        return Block(self._tracer.start_span(name, kind=kind, attributes=attributes))

    def told_later(
        self,
        name: str,
        kind: SpanKind,
        attributes: Attributes,
        *,
        parent: Context,
        began_at: int,
        links: Sequence[Link] = (),
    ) -> Span:
        """Make a span of what has happened since `began_at` (ns), and that is never current."""
        return self._tracer.start_span(
            name, parent, kind=kind, attributes=attributes, links=links, start_time=began_at
        )


def is_kept() -> bool:
    """Whether there is a current trace, and it is kept."""
    known = _KEPT.get()
    return _is_kept(get_current_span()) if known is None else known


def is_unkept() -> bool:
    """Whether we are within a trace that is not kept, in which nothing is to be begun."""
    return _KEPT.get() is False


def fail(span: Span, error_type: str) -> None:
    """Mark a span as failed."""
    if span.is_recording():
        span.set_attribute(names.ERROR_TYPE, error_type)
        span.set_status(StatusCode.ERROR)


def context_of(traceparent: str | None) -> Context | None:
    """Read a W3C traceparent; None where there is none that makes sense."""
    if traceparent is None:
        return None
    context = _PROPAGATOR.extract({_TRACEPARENT: traceparent}, Context())
    return context if get_current_span(context).get_span_context().is_valid else None


def traceparent_of(span: Span) -> str | None:
    """Write a span as a W3C traceparent; None where it is of no trace."""
    context = span.get_span_context()
    if not context.is_valid:
        return None
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"


def span_of_unkept_trace() -> Span:
    """Name the trace that is not kept to others, so that they keep nothing of it either.

    Where it is Prosa's own, it has no name; any will do.
    """
    current = get_current_span()
    if current.get_span_context().is_valid:
        return current
    return NonRecordingSpan(SpanContext(randbits(128), randbits(64), is_remote=False))


def span_context_in(context: Context) -> SpanContext:
    """Find the span that a context is about."""
    return get_current_span(context).get_span_context()


class Stored(AbstractContextManager[None]):
    """A block in which what is stored, or sent, is told to belong to a span."""

    __slots__ = ("_before", "_span")

    def __init__(self, span: Span) -> None:
        self._span = span

    def __enter__(self) -> None:
        """Begin."""
        self._before = TRACEPARENT.set(traceparent_of(self._span))

    def __exit__(self, *_: object) -> None:
        """End."""
        TRACEPARENT.reset(self._before)


ATTEMPT: ContextVar[Attributes] = ContextVar("attempt", default=None)
"""The attributes of the attempt that runs, for the spans within it."""


def _current_span(context: Context | None) -> Span:
    """Find what a context is about, or else what is current. To find nothing costs little."""
    known = get_current() if context is None else context
    return get_current_span(known) if known else INVALID_SPAN


def _is_kept(span: Span) -> bool:
    """Whether its trace is kept; the span itself may have ended, as that of a request has early."""
    return span.get_span_context().trace_flags.sampled
