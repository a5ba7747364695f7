"""A request to the HTTP API, seen: its span, and how long it took."""

import time
from types import TracebackType
from typing import Final, Self

from opentelemetry.trace import Span, SpanKind

from prosa.adapters.opentelemetry import names
from prosa.adapters.opentelemetry.spans import Block, context_of, fail, traceparent_of
from prosa.adapters.opentelemetry.telemetry import Telemetry

SERVER_ERROR: Final = 500

_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
_OTHER: Final = "_OTHER"
"""What the conventions write for methods that nobody knows."""

TRACEPARENT: Final = b"traceparent"

Headers = list[tuple[bytes, bytes]]


class SeenRequest:
    """A request while it is answered. Whoever answers says the `status`, and the `route` at last.

    Neither its path nor anything else that a client chose gets into the span: of a path the route
    is kept, as in `/v1/turns/{turn_id}`.
    """

    __slots__ = (
        *("_began_at", "_block", "_headers", "_method", "_telemetry"),
        *("route", "status", "traceparent"),
    )

    def __init__(self, telemetry: Telemetry, method: str, headers: Headers) -> None:
        self.status = 0
        self.route: str | None = None
        self.traceparent: str | None = None
        """What names this span; None where its trace is not kept."""
        self._headers = headers
        self._telemetry = telemetry
        self._method = method if method in _METHODS else _OTHER
        self._began_at = time.perf_counter()

    def __enter__(self) -> Self:
        """Begin the span, in the client's trace where it has one."""
        parent = None
        for name, value in self._headers:
            if name == TRACEPARENT:
                parent = context_of(value.decode("latin-1"))
        self._block: Block = self._telemetry.tracing.begin(
            self._spoken, SpanKind.SERVER, parent=parent
        )
        span = self._block.__enter__()
        if span.is_recording():
            self.traceparent = traceparent_of(span)
        return self

    def headers(self) -> Headers:
        """Give those of the request, with a `traceparent` that names this span, if one is there."""
        if self.traceparent is None:
            return self._headers
        others = [header for header in self._headers if header[0] != TRACEPARENT]
        return [*others, (TRACEPARENT, self.traceparent.encode())]

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End it."""
        if self.traceparent is not None:
            self._describe(self._block.span)
        seconds = time.perf_counter() - self._began_at
        self._telemetry.metrics.request(seconds, self._method, self.route or "", self.status)
        self._block.__exit__(kind, error, traceback)

    @property
    def _spoken(self) -> str:
        return "HTTP" if self._method == _OTHER else self._method

    def _describe(self, span: Span) -> None:
        span.set_attribute(names.HTTP_METHOD, self._method)
        if self.route is not None:
            span.update_name(f"{self._spoken} {self.route}")
            span.set_attribute(names.HTTP_ROUTE, self.route)
        if self.status:
            span.set_attribute(names.HTTP_STATUS, self.status)
        if self.status >= SERVER_ERROR:
            fail(span, str(self.status))
