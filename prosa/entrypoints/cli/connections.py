"""uvicorn's connections, which also bound how long a client may take to say what it wants.

Needs the extra http, so it is imported only by what serves.
"""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle


class PunctualConnection(HttpToolsProtocol):
    """A connection that is cut where no request comes.

    uvicorn waits for ever for headers that drip, and for a body that no route reads.
    """

    request_seconds = 15.0
    """How long a client may take from connecting, or from its last answer, to its next request."""

    _expecting_since = 0.0
    _due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as there
        """Expect the first request."""
        super().connection_made(transport)
        self._expecting_since = self.loop.time()
        self._look_in(self.request_seconds)

    def connection_lost(self, exc: Exception | None) -> None:
        """Expect nothing more."""
        super().connection_lost(exc)
        if self._due is not None:
            self._due.cancel()

    def on_response_complete(self) -> None:
        """Expect another request."""
        super().on_response_complete()
        self._expecting_since = self.loop.time()

    def _look_in(self, seconds: float) -> None:
        """Look later: one timer a connection costs less than one an answer."""
        self._due = self.loop.call_later(seconds, self._cut_unless_served)

    def _cut_unless_served(self) -> None:
        cycle: RequestResponseCycle | None = self.cycle
        if cycle is not None and not cycle.response_complete:
            self._look_in(self.request_seconds)
            return
        left = self._expecting_since + self.request_seconds - self.loop.time()
        if left > 0:
            self._look_in(left)
        else:
            self.transport.abort()
