"""Traces as trees on a terminal: each step, when it began, how long it took, and what came of it.

::

    trace 49c38d291129d5d2e5440e708825a69b  turn_01a20243abe770029fcd32dc96ea4cf0
    POST /v1/messages  200                    +0.0     412.6 ms  ████████████████████████
    ├─ accept                                 +0.6       9.8 ms  ▌
    │  └─ commit                              +2.0       7.9 ms  ▌
    └─ run  completed                        +10.7     401.2 ms   ███████████████████████
"""

import re
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace import Event, ReadableSpan, Span, SpanProcessor
from opentelemetry.trace import INVALID_SPAN_CONTEXT, SpanContext, StatusCode

from prosa.adapters.opentelemetry import gen_ai_names as gen_ai
from prosa.adapters.opentelemetry import names

Show = Callable[[str], None]
"""Shows lines of text."""

WAIT_SECONDS: Final = 0.3
"""How long to wait for more, after all spans have ended: events are published behind an answer."""

LEAST_LABEL, MOST_LABEL = 40, 92
BAR_WIDTH: Final = 24

_MS: Final = 1_000_000
"""Nanoseconds."""
_PARTS: Final = " ▏▎▍▌▋▊▉█"
_LATER: Final = "→"
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")


@dataclass(slots=True)
class _Trace:
    open: int = 0
    ended: list[ReadableSpan] = field(default_factory=list)
    timer: threading.Timer | None = None


class ShownTraces(SpanProcessor):
    """Shows each trace a little after the last of its spans has ended.

    For a developer's terminal: every trace is kept until then.
    """

    def __init__(self, show: Show, *, wait_seconds: float = WAIT_SECONDS) -> None:
        self._show = show
        self._wait_seconds = wait_seconds
        self._traces: dict[int, _Trace] = {}
        self._lock = threading.Lock()

    def on_start(self, span: Span, parent_context: Context | None = None) -> None:
        """Wait for one more."""
        del parent_context
        with self._lock:
            trace = self._traces.setdefault(_trace_of(span), _Trace())
            trace.open += 1
            _stop(trace)

    def on_end(self, span: ReadableSpan) -> None:
        """Show the trace soon, if this was the last."""
        with self._lock:
            trace = self._traces[_trace_of(span)]
            trace.open -= 1
            trace.ended.append(span)
            if trace.open == 0:
                trace.timer = threading.Timer(self._wait_seconds, self._show_trace, [span])
                trace.timer.daemon = True
                trace.timer.start()

    def shutdown(self) -> None:
        """Show what waits to be shown."""
        with self._lock:
            waiting, self._traces = self._traces, {}
        for trace in waiting.values():
            _stop(trace)
            self._show_ended(trace)

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Leave it to the timers."""
        return timeout_millis > 0

    def _show_trace(self, last: ReadableSpan) -> None:
        with self._lock:
            trace = self._traces.get(_trace_of(last))
            if trace is None or trace.open:
                return
            del self._traces[_trace_of(last)]
        self._show_ended(trace)

    def _show_ended(self, trace: _Trace) -> None:
        # Of a batch of events each trace tells for itself.
        if any(span.name != names.RELAY for span in trace.ended):
            self._show(tree_of(trace.ended))


def _stop(trace: _Trace) -> None:
    if trace.timer is not None:
        trace.timer.cancel()
        trace.timer = None


def tree_of(spans: Sequence[ReadableSpan]) -> str:
    """Write the spans of one trace as a tree, with an empty line behind it."""
    known = {_id_of(span) for span in spans}
    children: defaultdict[int | None, list[ReadableSpan]] = defaultdict(list)
    for span in sorted(spans, key=_start):
        parent = span.parent.span_id if span.parent else None
        children[parent if parent in known else None].append(span)
    roots = children[None]
    began_at = _start(roots[0])
    whole = max(max(map(_end, roots)) - began_at, 1)
    lines = [line for root in roots for line in _lines(root, children, "", "")]
    width = max(LEAST_LABEL, min(MOST_LABEL, max(len(label) for label, _, _ in lines)))
    rows = [
        _row(label[:width].ljust(width), _start(first) - began_at, took, whole)
        for label, first, took in lines
    ]
    return "\n".join([_title(spans), *rows, ""])


def _title(spans: Sequence[ReadableSpan]) -> str:
    turns = {turn for span in spans if (turn := _value(span, names.TURN_ID))}
    return "  ".join([f"trace {_trace_of(spans[0]):032x}", *sorted(turns)])


Line = tuple[str, ReadableSpan, int]
"""A label, the span that began it, and how long it took in all."""


def _lines(
    span: ReadableSpan,
    children: dict[int | None, list[ReadableSpan]],
    before: str,
    below: str,
    *,
    alike: Sequence[ReadableSpan] = (),
) -> Iterator[Line]:
    """Write a span and those below it; `alike` are the other ones of its kind in a row."""
    times = f" x {len(alike) + 1}" if alike else ""
    took = sum(_end(one) - _start(one) for one in (span, *alike))
    yield f"{before}{span.name}{times}{_told(span)}", span, took
    groups = _groups(children[_id_of(span)])
    for number, (first, *others) in enumerate(groups, start=1):
        last = number == len(groups)
        yield from _lines(
            first,
            children,
            f"{below}{'└─ ' if last else '├─ '}",
            f"{below}{'   ' if last else '│  '}",
            alike=others,
        )


def _groups(spans: Sequence[ReadableSpan]) -> list[list[ReadableSpan]]:
    """Take passages that were screened one behind the other together: a reply has dozens."""
    groups: list[list[ReadableSpan]] = []
    for screened, found in groupby(spans, lambda span: span.name == names.SCREEN):
        several = list(found)
        groups += [several] if screened else [[span] for span in several]
    return groups


def _row(label: str, start: int, took: int, whole: int) -> str:
    bar = _bar(start / whole, took / whole)
    return f"{label} {f'+{start / _MS:,.1f}':>10} {took / _MS:>9,.1f} ms  {bar}"


def _bar(start: float, share: float) -> str:
    """Draw when in the whole time it was, at least a hair's breadth; or that it was later."""
    if start >= 1:
        return " " * BAR_WIDTH + _LATER
    first = int(start * BAR_WIDTH)
    eighths = max(1, round(min(share, 1 - first / BAR_WIDTH) * BAR_WIDTH * 8))
    full, rest = divmod(eighths, 8)
    return " " * first + "█" * full + (_PARTS[rest] if rest else "")


def _told(span: ReadableSpan) -> str:
    """Say what is worth knowing of a span, behind its name."""
    told = [_value(span, name) for name in _WORTH_KNOWING]
    told += _tokens(span)
    told += [
        f"{_value(event, names.MODEL)} → {_value(event, names.FALLBACK_MODEL)}"
        for event in span.events
        if event.name == names.FALLBACK
    ]
    if span.status.status_code is StatusCode.ERROR:
        told.append(f"✗ {_value(span, names.ERROR_TYPE)}")
    words = [word for word in told if word]
    return f"  {' · '.join(words)}" if words else ""


_WORTH_KNOWING: Final = (
    names.HTTP_STATUS,
    names.TURN_OUTCOME,
    names.INTENT,
    names.CALL,
    names.DIRECTION,
    names.VERDICT,
    gen_ai.PROMPT_NAME,
)


def _tokens(span: ReadableSpan) -> list[str]:
    taken, made = _value(span, gen_ai.INPUT_TOKENS), _value(span, gen_ai.OUTPUT_TOKENS)
    told = [f"{taken} + {made} tokens"] if made else []
    if first := (span.attributes or {}).get(gen_ai.TIME_TO_FIRST_CHUNK):
        told.append(f"first text after {float(str(first)) * 1000:.0f} ms")
    return told


def _value(described: ReadableSpan | Event, name: str) -> str:
    """Read an attribute for a terminal, which nobody's words may change."""
    return _CONTROL.sub("", str((described.attributes or {}).get(name, "")))


def _trace_of(span: ReadableSpan) -> int:
    return _context_of(span).trace_id


def _id_of(span: ReadableSpan) -> int:
    return _context_of(span).span_id


def _context_of(span: ReadableSpan) -> SpanContext:
    return span.get_span_context() or INVALID_SPAN_CONTEXT


def _start(span: ReadableSpan) -> int:
    return span.start_time or 0


def _end(span: ReadableSpan) -> int:
    return span.end_time or _start(span)
