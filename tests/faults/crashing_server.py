"""The whole application, served until it comes to a crash point, where it kills itself.

By hand: python -m tests.faults.crashing_server "before record" --port 8000, with Prosa's settings
in the environment. Tests fork it from a process that has everything imported, which takes a tenth
of the time of a new interpreter.
"""

import argparse
import asyncio
import multiprocessing
import os
import signal
import socket
import sys
from collections.abc import Mapping
from pathlib import Path

import asyncpg  # noqa: F401  what a server imports when it needs it, imported before the fork
import uvicorn

from prosa.bootstrap import bootstrap
from prosa.entrypoints.http.app import create_app
from prosa.entrypoints.logs import set_up_logging
from prosa.settings import Settings
from tests.faults.crash_points import NOWHERE, die_at

SECONDS_TO_DIE = 2
SECONDS_TO_END = 20


class CrashingServer:
    """A forked server that is to die at a point; `port` takes connections from the beginning."""

    def __init__(self, point: str, passing: int, settings: Mapping[str, str], log: Path) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        forking = multiprocessing.get_context("forkserver")
        forking.set_forkserver_preload([__name__])
        self._process = forking.Process(
            target=_serve_as, args=(point, passing, dict(settings), str(log), self._listening)
        )

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        self._process.start()
        # Or connections would wait for ever for a server that is dead.
        self._listening.close()

    def send(self, number: signal.Signals) -> None:
        assert self._process.pid is not None
        os.kill(self._process.pid, number)

    def dies(self) -> bool:
        """Wait a little for its death; say whether it died by its own hand."""
        self._process.join(SECONDS_TO_DIE)
        return self._process.exitcode == -signal.SIGKILL

    def kill(self) -> None:
        """See to its end."""
        if self._process.pid is not None:
            self._process.kill()
            self._process.join(SECONDS_TO_END)


def _serve_as(
    point: str, passing: int, settings: Mapping[str, str], log: str, listening: socket.socket
) -> None:
    """Be the child: take the settings for the environment, the log for standard output."""
    for name in [name for name in os.environ if name.startswith(("PROSA_", "OPENAI_"))]:
        del os.environ[name]
    os.environ.update(settings)
    output = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(output, sys.stdout.fileno())
    os.dup2(output, sys.stderr.fileno())
    serve(point, passing, listening)


def serve(point: str, passing: int, listening: socket.socket) -> None:
    """Serve by the environment's settings until it dies, or is stopped."""
    die_at(point, passing)
    settings = Settings()
    set_up_logging(settings)
    app = create_app(lambda: bootstrap(settings))
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, ws="none", lifespan="on"))
    asyncio.run(server.serve(sockets=[listening]))


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.crashing_server")
    parser.add_argument("point", nargs="?", default=NOWHERE)
    parser.add_argument("--passing", type=int, default=1)
    parser.add_argument("--port", type=int, default=0)
    given = parser.parse_args()
    serve(given.point, given.passing, socket.create_server(("127.0.0.1", given.port)))


if __name__ == "__main__":
    main()
