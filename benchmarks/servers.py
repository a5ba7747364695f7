"""The measured servers: Prosa and the two floors, each one process on the loopback interface."""

import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from benchmarks import children
from benchmarks.mock_model import MODEL

_MIGRATE_SECONDS: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a server finds its database and its model."""

    scratch: Path
    database_url: str
    model_url: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """How to prepare a server's database and how to start it."""

    name: str
    title: str
    arguments: tuple[str, ...]
    preparation: tuple[str, ...] = ()

    def settings(self, place: Place) -> Mapping[str, str]:
        """Give the environment variables that point it to a place."""
        return {"FLOOR_DATABASE_URL": place.database_url, "FLOOR_MODEL_URL": place.model_url}

    def prepare(self, place: Place) -> None:
        """Make an empty database ready."""
        if self.preparation:
            command = children.python(*self.preparation)
            children.run(
                command,
                scratch=place.scratch,
                settings=self.settings(place),
                seconds=_MIGRATE_SECONDS,
            )

    @contextmanager
    def running(
        self, place: Place, *, also: Mapping[str, str] = MappingProxyType({}), pause: float = 0.05
    ) -> Iterator["Running"]:
        """Serve within the block, from when it is ready: asked after each pause, in seconds."""
        port = children.free_port()
        command = children.python(*self.arguments, "--port", str(port))
        settings = {**self.settings(place), **also}
        with children.running(command, scratch=place.scratch, settings=settings) as child:
            children.wait_until_ready(child, port, "/readyz", pause=pause)
            yield Running(port=port, child=child)


@dataclass(frozen=True, slots=True, kw_only=True)
class Running:
    """A server that answers."""

    port: int
    child: subprocess.Popen[bytes]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prosa(Server):
    """Prosa by its own command line: this one, or another one unpacked at `root`."""

    root: Path = children.ROOT

    def settings(self, place: Place) -> Mapping[str, str]:
        """Give Prosa's own variables."""
        return {
            "PROSA_DATABASE_URL": place.database_url.replace(
                "postgresql://", "postgresql+asyncpg://", 1
            ),
            "PROSA_MODELS": f"openai:{MODEL}",
            "PROSA_OPENAI_BASE_URL": place.model_url,
            "PROSA_LOG_LEVEL": "WARNING",
            "PYTHONPATH": str(self.root),
        }


def _uvicorn(app: str) -> tuple[str, ...]:
    options = ("--host", "127.0.0.1", "--loop", "uvloop", "--http", "httptools")
    return ("-m", "uvicorn", app, *options, "--no-access-log", "--log-level", "warning")


USUAL: Final = Server(
    name="usual",
    title="usual floor: asyncpg, httpx",
    arguments=_uvicorn("benchmarks.floors.usual:app"),
)
THIN: Final = Server(
    name="thin",
    title="thin floor: asyncpg, aiohttp",
    arguments=_uvicorn("benchmarks.floors.thin:app"),
)
PROSA: Final = Prosa(
    name="prosa",
    title="Prosa",
    arguments=("-m", "prosa", "serve", "--host", "127.0.0.1"),
    preparation=("-m", "prosa", "migrate"),
)
ALL: Final = {server.name: server for server in (USUAL, THIN, PROSA)}


@contextmanager
def mock_model(scratch: Path, *, latency_ms: float) -> Iterator[str]:
    """Run the mock model within the block and give its base URL."""
    port = children.free_port()
    command = children.python(
        "-m", "benchmarks.mock_model", "--port", str(port), "--latency-ms", str(latency_ms)
    )
    with children.running(command, scratch=scratch, settings={}) as child:
        children.wait_until_ready(child, port, "/v1/models")
        yield f"http://127.0.0.1:{port}/v1"
