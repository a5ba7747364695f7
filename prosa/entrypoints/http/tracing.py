"""Gives each request a span, in the trace of the client where it has one. Pure ASGI."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING, Final

from fastapi import FastAPI
from starlette.types import ASGIApp, Message, Receive, Scope, Send

if TYPE_CHECKING:  # an extra
    from prosa.adapters.opentelemetry.telemetry import Telemetry

UNSEEN: Final = frozenset({"/healthz", "/readyz"})
"""Paths that are asked again and again, and tell nothing."""


@asynccontextmanager
async def seeing_requests(app: FastAPI, telemetry: "Telemetry | None") -> AsyncIterator[None]:
    """Have the app's requests seen within the block; without telemetry nothing is in their way."""
    if telemetry is None:
        yield
        return
    answering = app.middleware_stack or app.build_middleware_stack()
    app.middleware_stack = SeenRequests(answering, telemetry)
    try:
        yield
    finally:
        app.middleware_stack = answering


class SeenRequests:
    """Answers requests by `app`, which finds a `traceparent` among their headers."""

    def __init__(self, app: ASGIApp, telemetry: "Telemetry") -> None:
        from prosa.adapters.opentelemetry.requests import (  # noqa: PLC0415 - an extra
            SeenRequest,
        )

        self._app = app
        self._seen = partial(SeenRequest, telemetry)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        if scope["type"] != "http" or scope["path"] in UNSEEN:
            await self._app(scope, receive, send)
            return
        with self._seen(scope["method"], scope["headers"]) as seen:

            async def send_seen(message: Message) -> None:
                if message["type"] == "http.response.start":
                    seen.status = message["status"]
                await send(message)

            served = {**scope, "headers": seen.headers()} if seen.traceparent else scope
            try:
                await self._app(served, receive, send_seen)
            finally:
                seen.route = getattr(served.get("route"), "path", None)
