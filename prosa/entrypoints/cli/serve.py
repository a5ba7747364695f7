"""`prosa serve`: the HTTP API, by uvicorn."""

import asyncio
import contextlib
import gc
import ipaddress
import json
import math
import shlex
import signal
import socket
from collections.abc import AsyncIterator
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Annotated, Any, NoReturn

import typer

from prosa.bootstrap import bootstrap
from prosa.bootstrap.packages import required_packages
from prosa.bootstrap.secrets import read_settings
from prosa.domain.errors import ConfigurationError
from prosa.entrypoints.cli.in_words import is_demonstration, model_in_words
from prosa.entrypoints.logs import log_configuration, set_up_logging
from prosa.entrypoints.safety import require_authentication
from prosa.settings import Settings

if TYPE_CHECKING:
    from fastapi import FastAPI

    from prosa.adapters.opentelemetry.telemetry import Telemetry
    from prosa.entrypoints.http.app import OpenParts
    from prosa.entrypoints.http.parts import Parts

BACKLOG = 2_048
OBJECTS_BEFORE_COLLECTION = 50_000
"""A turn makes a few hundred objects that the collector counts; Python's own figure is 700."""

SECONDS_AFTER_DEADLINE = 5
"""How much longer than a turn it may take to stop: nothing that runs is left then.

Of these, turns that should have ended by their deadline have one second more; then they are
cancelled, and have until the end to say so.
"""

UNREAD_SECONDS = 30
"""How long a client may take nothing of what was sent to it."""

EXAMPLES = {"pt-BR": "Olá! Onde está o meu pedido?", "en": "Hello! Where is my order?"}


def serve(
    *,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(help="The port; 0 is any free one.", min=0, max=65_535)
    ] = 8_000,
    workers: Annotated[int, typer.Option(help="How many processes serve.", min=1)] = 1,
    trace: Annotated[
        bool, typer.Option("--trace", help="Show where the time of each turn went.")
    ] = False,
) -> None:
    """Serve the HTTP API.

    A SQLite file is made and migrated. Postgres has to be migrated (`prosa migrate`); while it is
    away, /readyz says so.
    """
    settings = read_settings()
    set_up_logging(settings)
    with required_packages("prosa serve speaks HTTP", extra="http"):
        import uvicorn  # noqa: F401, PLC0415 - of an extra, and the slowest to load
    with _listening(settings, host, port) as listening:
        if trace and workers > 1:
            raise ConfigurationError("--trace shows the turns of one process: leave out --workers")
        if workers == 1:
            _serve_here(settings, host, listening, _shown_traces(settings) if trace else None)
        else:
            _serve_in_processes(settings, host, listening, workers)


def http_app(host: str = "localhost") -> "FastAPI":
    """Make the ASGI application by the environment, for servers that are given its name.

    Without authentication only requests to a loopback address, or to `host`, are answered. Raises
    ConfigurationError.
    """
    settings = read_settings()
    require_authentication(settings)
    return _app(settings, host, lambda: bootstrap(settings))


def http_app_of_a_process(host: str) -> "FastAPI":
    """Make the application for one of several processes, as `http_app` does.

    A terminal sends Ctrl-C to all of them: they leave it to the first, which tells them to stop.
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    return http_app(host)


def _app(settings: Settings, host: str, open_app: "OpenParts") -> "FastAPI":
    from prosa.entrypoints.cli.stopping import hear_of_stopping  # noqa: PLC0415 - of an extra
    from prosa.entrypoints.http.app import create_app, stop_taking_turns  # noqa: PLC0415 - as above

    @contextlib.asynccontextmanager
    async def open_to_serve() -> AsyncIterator["Parts"]:
        async with open_app() as parts:
            _settle()
            hear_of_stopping(lambda: stop_taking_turns(app))
            yield parts

    app = create_app(
        open_to_serve,
        docs=settings.docs,
        cors_origins=settings.cors_origins,
        hosts=[host] if settings.auth == "none" else None,
        drain_seconds=settings.deadline_seconds + 1,
    )
    return app


def _settle() -> None:
    """Have the garbage collector leave alone what was made by the time that the app is open.

    All of it lives as long as the process does, and walking it again and again was 8 % of the
    processor time of a turn under load.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(OBJECTS_BEFORE_COLLECTION)


def _shown_traces(settings: Settings) -> "Telemetry":
    """Have each trace written to standard output. Raises ConfigurationError."""
    from prosa.bootstrap.telemetry import make_telemetry  # noqa: PLC0415 - only where it is wanted

    return make_telemetry(settings, show=typer.echo)


def _serve_here(
    settings: Settings, host: str, listening: socket.socket, telemetry: "Telemetry | None"
) -> None:
    """Serve in this process. What cannot be opened is said before anything is served."""
    import uvicorn  # noqa: PLC0415 - as above

    from prosa.entrypoints.cli.stopping import PatientServer  # noqa: PLC0415 - as above

    async def run() -> None:
        async with _shutting_down(telemetry), bootstrap(settings, telemetry=telemetry) as app:
            opened = _app(settings, host, lambda: contextlib.nullcontext(app))
            server = PatientServer(uvicorn.Config(opened, **_options(settings)))
            announce(settings, listening)
            await server.serve(sockets=[listening])

    _stop_by_closing()
    loop_factory = uvicorn.Config(http_app, log_config=None).get_loop_factory()
    with asyncio.Runner(loop_factory=loop_factory) as runner:
        runner.run(run())


@contextlib.asynccontextmanager
async def _shutting_down(telemetry: "Telemetry | None") -> AsyncIterator[None]:
    """Show what is still to be shown, at the end."""
    try:
        yield
    finally:
        if telemetry is not None:
            await telemetry.shut_down()


def _serve_in_processes(
    settings: Settings, host: str, listening: socket.socket, workers: int
) -> None:
    """Serve in several processes, each of which opens the application by the environment."""
    import uvicorn  # noqa: PLC0415 - as above
    from uvicorn.config import STARTUP_FAILURE  # noqa: PLC0415 - as above

    from prosa.entrypoints.cli.stopping import PatientProcesses  # noqa: PLC0415 - as above

    asyncio.run(_open_once(settings))
    config = uvicorn.Config(
        partial(http_app_of_a_process, host),
        factory=True,
        workers=workers,
        **_options(settings),
    )
    supervisor = PatientProcesses(config, [listening])
    announce(settings, listening)
    supervisor.run()
    if any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes):
        raise ConfigurationError("a process that was to serve could not start")


async def _open_once(settings: Settings) -> None:
    """Migrate a SQLite file, and learn what cannot be opened, before the processes would."""
    async with bootstrap(settings):
        return


def _options(settings: Settings) -> dict[str, Any]:
    from prosa.entrypoints.cli.connections import PunctualConnection  # noqa: PLC0415 - as above

    return {
        "http": PunctualConnection,
        "log_config": log_configuration(settings),
        "access_log": False,
        "server_header": False,
        "proxy_headers": False,  # nothing asks for the client's address
        "ws": "none",
        "backlog": BACKLOG,
        "timeout_graceful_shutdown": math.ceil(settings.deadline_seconds) + SECONDS_AFTER_DEADLINE,
    }


def _stop_by_closing() -> None:
    """Have the signals to stop unwind the program: what is open is closed, whatever runs."""

    def stop(_number: int, _frame: FrameType | None) -> NoReturn:
        raise SystemExit(0)

    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, stop)


def _listening(settings: Settings, host: str, port: int) -> socket.socket:
    """Take the port, before anything that takes longer. Raises ConfigurationError."""
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
    except (OSError, UnicodeError) as error:
        raise ConfigurationError(f"--host {host} is no address of this machine") from error
    _require_safe(settings, host, str(address[0]))
    listening = socket.socket(family, kind)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        _limit_unread(listening)
        listening.bind(address)
        listening.listen(BACKLOG)
    except OSError as error:
        listening.close()
        raise ConfigurationError(
            f"cannot listen on {host}, port {port}: {error.strerror}; choose another with --port"
        ) from error
    return listening


def _limit_unread(listening: socket.socket) -> None:
    """Have the system cut connections whose client takes nothing; Linux can, others may not.

    That ends also those that were closed with something left to send, which nothing else does.
    """
    option = getattr(socket, "TCP_USER_TIMEOUT", None)
    if option is not None:
        listening.setsockopt(socket.IPPROTO_TCP, option, UNREAD_SECONDS * 1_000)


def _require_safe(settings: Settings, host: str, address: str) -> None:
    """Without authentication, serve in development only, and this machine only."""
    loopback = ipaddress.ip_address(address.partition("%")[0]).is_loopback
    reachable = (
        f"so --host must be a loopback address such as 127.0.0.1, and {host} is not; "
        "or set PROSA_AUTH=jwt"
    )
    require_authentication(settings, None if loopback else reachable)


def announce(settings: Settings, listening: socket.socket) -> None:
    """Say what answers where, and what to try."""
    host, port = listening.getsockname()[:2]
    address = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
    # Of another language the demonstration weights make nonsense.
    language = "en" if is_demonstration(settings) else settings.locale
    body = json.dumps({"text": EXAMPLES[language]}, ensure_ascii=False)
    docs = f" Docs: {address}/docs" if settings.docs else ""
    typer.echo(f"Prosa listens on {address}; {model_in_words(settings)} answers.{docs}")
    token = "-H 'authorization: Bearer TOKEN' " if settings.auth == "jwt" else ""
    typer.echo(
        f"Try: curl {address}/v1/messages {token}-H 'content-type: application/json' "
        f"-d {shlex.quote(body)}"
    )
