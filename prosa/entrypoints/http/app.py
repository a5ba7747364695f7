"""Makes the HTTP application: routes, problems, headers, and the app opened for their time."""

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from functools import partial
from typing import cast

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware

from prosa.entrypoints.http import documentation, documentation_page, problems
from prosa.entrypoints.http.envelope import Cors, Envelope
from prosa.entrypoints.http.live_turns import LiveTurns
from prosa.entrypoints.http.parts import Parts, Serving, serve_by, serving_by
from prosa.entrypoints.http.routes import conversations, health, messages, turns
from prosa.entrypoints.http.shortcut import Shortcut
from prosa.entrypoints.http.tracing import seeing_requests
from prosa.entrypoints.http.unrouted import problem_of_http
from prosa.entrypoints.http.validation import problem_of_validation
from prosa.entrypoints.loops import doing

API_VERSION = "1"
DRAIN_SECONDS = 30.0
PING_SECONDS = 15.0
READER_SECONDS = 30.0
BODY_SECONDS = 15.0

OpenParts = Callable[[], AbstractAsyncContextManager[Parts]]

_EXPOSED = [
    "Idempotency-Key",
    "Idempotent-Replayed",
    "Location",
    "Retry-After",
    "WWW-Authenticate",
    "X-Request-Id",
]


def create_app(
    open_app: OpenParts,
    *,
    docs: bool = True,
    cors_origins: Sequence[str] = (),
    hosts: Collection[str] | None = None,
    drain_seconds: float = DRAIN_SECONDS,
    ping_seconds: float = PING_SECONDS,
    reader_seconds: float = READER_SECONDS,
    body_seconds: float = BODY_SECONDS,
) -> FastAPI:
    """Make the ASGI application; `open_app` is opened when the server starts, and closed after it.

    `docs` serves `/docs` and `/openapi.json`. `cors_origins` lists whose pages may call the API
    from a browser. Where `hosts` is given, only requests that name this machine, or one of these,
    are answered: nobody's page can have its own name lead here. At shutdown, or from
    `stop_taking_turns` on, turns that run have `drain_seconds` to end, and are cancelled then. A
    stream with nothing to say sends a comment every `ping_seconds`; a client that takes nothing of
    it for `reader_seconds` is cut off. A body has `body_seconds` to arrive.
    """

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_app() as parts, doing(parts.chores), seeing_requests(app, parts.telemetry):
            live_turns = LiveTurns(drain_seconds)
            serving = Serving(
                parts=parts,
                live_turns=live_turns,
                ping_seconds=ping_seconds,
                reader_seconds=reader_seconds,
                body_seconds=body_seconds,
                hosts=None if hosts is None else frozenset(map(str.lower, hosts)),
            )
            serve_by(app, serving)
            yield
            await live_turns.drain()

    routes = [
        route
        for routed in (messages, turns, conversations, health)
        for route in routed.router.routes
    ]
    app = FastAPI(
        title="Prosa",
        version=API_VERSION,
        description=documentation.DESCRIPTION,
        openapi_tags=documentation.TAGS,
        openapi_url=documentation_page.OPENAPI_ADDRESS if docs else None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # Its records of a request would keep the body; Prosa traces what its own parts do.
        telemetry={"tracing": False, "metrics": False, "logs": False},
        lifespan=lifespan,
        middleware=[
            Middleware(Envelope, cors=_cors(cors_origins)),
            Middleware(Shortcut, routes=routes),
        ],
    )
    # Not include_router: it looks for the route of every request twice.
    app.router.routes.extend(routes)
    if docs:
        documentation_page.serve(app)
    documentation.complete(app)
    _tell_problems(app)
    return app


def stop_taking_turns(app: FastAPI) -> None:
    """Begin to shut down, where a server knows of it before it ends the app's lifespan.

    Turns that run go on, for `drain_seconds`, and so do their answers; new ones are refused.
    """
    serving_by(app).live_turns.close()


def _cors(origins: Sequence[str]) -> Cors | None:
    if not origins:
        return None
    return partial(
        CORSMiddleware,
        allow_origins=origins,
        allow_methods=["GET", "POST"],
        allow_headers=["*"],
        expose_headers=_EXPOSED,
    )


def _tell_problems(app: FastAPI) -> None:
    """Have what the framework refuses answered with a problem; the envelope sees to the others.

    The handlers are coroutines: any other would be run in a thread of its own.
    """
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(HTTPException, _answer_unrouted)


async def _answer_invalid(request: Request, error: Exception) -> Response:
    findings = cast("RequestValidationError", error).errors()
    found = problem_of_validation(findings, request.scope["route"])
    return problems.answer(found, request)


async def _answer_unrouted(request: Request, error: Exception) -> Response:
    return problems.answer(problem_of_http(request, cast("HTTPException", error)), request)
