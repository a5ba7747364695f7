"""The HTTP API behind API Gateway: takes events of REST APIs and of HTTP APIs.

The answer is whole when it leaves: a stream that is asked for comes in one piece. Nothing goes on
behind an answer, since Lambda freezes the process then.
"""

# ruff: noqa: PLC0415 - what a function needs is loaded while the collector rests

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace
from typing import TYPE_CHECKING

from prosa.domain.errors import PortFailure
from prosa.entrypoints.aws_lambda.runtime import (
    Container,
    Handler,
    catch_up,
    opened_when_asked_for,
    read_settings,
    seconds_to_use,
    send_telemetry,
)
from prosa.entrypoints.http.preferences import require_answer_within

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from prosa.bootstrap import App
    from prosa.settings import Settings

RELAY_SECONDS = 0.2
"""How long an answer waits for its events to be relayed; the schedule relays what is left."""

TEXT = ["text/", "application/json", "application/problem+json"]
"""Bodies that go into the answer as they are; API Gateway would pass others on in Base64."""

_REACHABLE = "and a Lambda function can be reached by others: set PROSA_AUTH=jwt"

logger = logging.getLogger(__name__)


def _open() -> Handler:
    from mangum import Mangum

    from prosa.entrypoints.safety import require_authentication

    settings = read_settings()
    require_authentication(settings, _REACHABLE if _is_on_lambda() else None)
    container = Container(_served(settings))
    # Mangum runs in the loop that is there: the container's.
    return Mangum(container.opened, lifespan="off", text_mime_types=TEXT)


__getattr__ = opened_when_asked_for(_open)


def _is_on_lambda() -> bool:
    """Whether this is Lambda itself, and not its runtime on a developer's machine."""
    return "AWS_LAMBDA_FUNCTION_NAME" in os.environ


@asynccontextmanager
async def _served(settings: "Settings") -> AsyncIterator["Invocation"]:
    from prosa.bootstrap import bootstrap
    from prosa.entrypoints.http.app import create_app

    async with bootstrap(settings) as app:
        # Chores have functions of their own: here nothing runs beside the answers.
        parts = replace(app, chores=())
        served = create_app(
            lambda: nullcontext(parts), docs=settings.docs, cors_origins=settings.cors_origins
        )
        async with served.router.lifespan_context(served):
            yield Invocation(served, app)


class Invocation:
    """Answers one request in the time that its invocation has, and relays its events before."""

    def __init__(self, served: "ASGIApp", app: "App") -> None:
        self._served = served
        self._app = app

    async def __call__(self, scope: "Scope", receive: "Receive", send: "Send") -> None:
        """Serve one request; Lambda is given the answer when this returns."""
        await catch_up()
        require_answer_within(scope, seconds_to_use(scope["aws.context"]))
        await self._served(scope, receive, send)
        if self._app.events_stored.is_set():
            self._app.events_stored.clear()
            await self._relay()
        await send_telemetry(self._app)

    async def _relay(self) -> None:
        try:
            async with asyncio.timeout(RELAY_SECONDS):
                await self._app.relay_outbox()
        except TimeoutError:
            logger.info("the answer waits no longer for its events: the schedule relays them")
        except PortFailure as error:
            logger.warning("events could not be relayed, and the schedule does it: %s", error)
