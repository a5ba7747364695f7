"""The whole application behind a real server: in this process, or in one that may be killed."""

import asyncio
import logging
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager, nullcontext
from pathlib import Path

import httpx

from prosa.adapters.log.event_bus import logger as events_log
from prosa.bootstrap import App, bootstrap
from prosa.entrypoints.http.app import create_app
from prosa.settings import Settings
from tests.entrypoints.http.serving import served_on_loopback

ROOT = Path(__file__).parents[2]
SECONDS_TO_START = 30
"""Far more than any start takes, also on a busy machine."""


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[httpx.AsyncClient]:
    """Serve the whole application in this process, and talk to it."""
    async with served_on_loopback(create_app(lambda: bootstrap(settings))) as client:
        client.timeout = httpx.Timeout(SECONDS_TO_START)
        yield client


@asynccontextmanager
async def opened(settings: Settings, sink: Path) -> AsyncIterator[tuple[App, httpx.AsyncClient]]:
    """Serve it like `serving`, with the application at hand, and its events written to a file."""
    async with bootstrap(settings) as app:
        server = served_on_loopback(create_app(lambda: nullcontext(app)))
        with events_written_to(sink):
            async with server as client:
                client.timeout = httpx.Timeout(SECONDS_TO_START)
                yield app, client


@contextmanager
def events_written_to(sink: Path) -> Iterator[None]:
    """Have the log's event bus of this process write where servers of other processes do."""
    handler = logging.FileHandler(sink)
    handler.setFormatter(logging.Formatter("%(name)s: %(message)s"))
    level = events_log.level
    events_log.setLevel(logging.INFO)
    events_log.addHandler(handler)
    try:
        yield
    finally:
        events_log.removeHandler(handler)
        events_log.setLevel(level)
        handler.close()


class ServerProcess:
    """A server in a process of its own, at a port that it keeps over restarts."""

    def __init__(
        self,
        arguments: Sequence[str],
        variables: Mapping[str, str],
        folder: Path,
        log: Path | None = None,
    ) -> None:
        """`arguments` are the interpreter's; each start adds `--port` and the port.

        What it prints is added to `log`, which several may share.
        """
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self._command = [sys.executable, *arguments, "--port", str(self.port)]
        self._environment = {
            "PATH": os.environ["PATH"],
            "HOME": str(folder),
            "PYTHONPATH": str(ROOT),
            "PYTHONUTF8": "1",
            **variables,
        }
        self._folder = folder
        self._log = log or folder / f"server-{self.port}.log"
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def ended(self) -> bool:
        return self._process is None or self._process.poll() is not None

    @property
    def exit_code(self) -> int | None:
        return self._process.poll() if self._process else None

    @property
    def log(self) -> str:
        return self._log.read_text() if self._log.exists() else ""

    def start(self, *more: str) -> None:
        """Start it; `ready` waits until it answers."""
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._command, *more],
                cwd=self._folder,
                env=self._environment,
                stdout=log,
                stderr=log,
            )

    async def ready(self) -> None:
        """Wait until it takes connections."""
        async with asyncio.timeout(SECONDS_TO_START):
            while not self._takes_connections():
                assert not self.ended, self.log[-4000:]
                await asyncio.sleep(0.02)

    async def end(self) -> int:
        """Wait until it has ended by itself; give its exit code."""
        assert self._process is not None
        return await asyncio.to_thread(self._process.wait, SECONDS_TO_START)

    def send(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def kill(self) -> None:
        """Kill it as `kill -9` does; nothing of it runs any more."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _takes_connections(self) -> bool:
        with socket.socket() as asking:
            return asking.connect_ex(("127.0.0.1", self.port)) == 0


def free_port() -> int:
    with socket.socket() as asking:
        asking.bind(("127.0.0.1", 0))
        port: int = asking.getsockname()[1]
        return port
