"""A request to the HTTP API, seen: its span, and how long it took."""

import time
from collections.abc import Iterable
from types import TracebackType
from typing import Final, Self

from opentelemetry.trace import SpanKind

from prosa.adapters.opentelemetry import names
from prosa.adapters.opentelemetry.spans import Block, context_of, fail, traceparent_of
from prosa.adapters.opentelemetry.telemetry import Telemetry

SERVER_ERROR: Final = 500

_METHODS: Final = frozenset({"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS"})
_OTHER: Final = "_OTHER"
"""What the conventions write for methods that nobody knows."""

Headers = list[tuple[bytes, bytes]]


class SeenRequest:
    """A request while it is answered. Whoever answers says the `status`, and the `route` at last.

    Neither its path nor anything else that a client chose gets into the span: of a path the route
    is kept, as in `/v1/turns/{turn_id}`.
    """

    def __init__(
        self, telemetry: Telemetry, method: str, headers: Iterable[tuple[bytes, bytes]]
    ) -> None:
        self.status = 0
        self.route: str | None = None
        self.headers: Headers = list(headers)
        """Those of the request, with a `traceparent` that names this span."""
        self._telemetry = telemetry
        known = method in _METHODS
        self._method = method if known else _OTHER
        self._spoken = method if known else "HTTP"
        self._began_at = time.perf_counter()

    def __enter__(self) -> Self:
        """Begin the span, in the client's trace where it has one."""
        told = next((value for name, value in self.headers if name == b"traceparent"), None)
        self._block: Block = self._telemetry.tracing.begin(
            self._spoken,
            SpanKind.SERVER,
            {names.HTTP_METHOD: self._method},
            parent=context_of(told.decode("latin-1") if told else None),
        )
        span = self._block.__enter__()
        named = traceparent_of(span)
        if named is not None:
            kept = [header for header in self.headers if header[0] != b"traceparent"]
            self.headers = [*kept, (b"traceparent", named.encode())]
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """End it."""
        span = self._block.span
        if span.is_recording():
            span.update_name(" ".join(filter(None, (self._spoken, self.route))))
            span.set_attributes(self._attributes())
            if self.status >= SERVER_ERROR:
                fail(span, str(self.status))
        self._telemetry.metrics.request(
            time.perf_counter() - self._began_at,
            {names.HTTP_METHOD: self._method, **self._attributes()},
        )
        self._block.__exit__(kind, error, traceback)

    def _attributes(self) -> dict[str, str | int]:
        attributes: dict[str, str | int] = {}
        if self.route is not None:
            attributes[names.HTTP_ROUTE] = self.route
        if self.status:
            attributes[names.HTTP_STATUS] = self.status
        return attributes
