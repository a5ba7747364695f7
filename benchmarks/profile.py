"""Where a turn's processor time goes: the steps of a turn by what runs in them."""

import subprocess
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks import children, postgres, turns
from benchmarks.children import BenchmarkError
from benchmarks.figures import table
from benchmarks.options import Options
from benchmarks.servers import PROSA, Place, Running, mock_model

_SAMPLES_A_SECOND: Final = 500
_START_SECONDS: Final = 15
"""How long server and load may take to start: the profiler stops by the clock."""

_STEPS: Final = {
    "AcceptTurn.__call__": "accept",
    "TakeTurn.classify": "classify",
    "TakeTurn.generate_by": "generate",
    "TakeTurn.record": "record",
    "Gathering._answered": "statements for several turns",
}
_BETWEEN: Final = "HTTP, and between the steps"

_STARTING: Final = (
    "(<frozen importlib",
    ";bootstrap (prosa/bootstrap/",
    ";_app (prosa/entrypoints/cli/",
)
"""Frames of a server that starts."""

_PARTS: Final = {
    "prosa/domain": "core",
    "prosa/application": "core",
    "prosa/adapters/sql": "storage",
    "asyncpg": "asyncpg",
    "prosa/adapters": "adapters",
    "prosa": "entrypoints",
    "openai": "HTTP client",
    "httpx2": "HTTP client",
    "aiohttp": "HTTP client",
    "fastapi": "web framework",
    "starlette": "web framework",
    "uvicorn": "web framework",
    "pydantic": "web framework",
}
"""What runs, by the beginning of its file's path; the longest that fits counts."""

_REST: Final = "Python itself"
_COLUMNS: Final = tuple(dict.fromkeys([*_PARTS.values(), _REST]))


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """Samples of a loaded server's one busy thread, by step and by what ran."""

    samples: dict[str, dict[str, int]]

    def show(self) -> str:
        """Write shares of all samples, in percent."""
        total = sum(sum(parts.values()) for parts in self.samples.values())
        rows = [
            (step, *(f"{100 * count / total:.1f}" for count in (sum(parts.values()), *_row(parts))))
            for step, parts in self.samples.items()
        ]
        title = f"profile: {turns.AT_ONCE.title}; % of {total:,} samples of processor time"
        return f"{title}\n{table(('step', 'all', *_COLUMNS), rows)}"


def _row(parts: dict[str, int]) -> list[int]:
    return [parts.get(part, 0) for part in _COLUMNS]


def run(options: Options) -> Iterator[tuple[str, Profile]]:
    """Load one server that a sampling profiler watches."""
    with (
        postgres.running(options.scratch) as cluster,
        mock_model(options.scratch, latency_ms=turns.AT_ONCE.latency_ms) as model_url,
    ):
        database_url = cluster.create(PROSA.name)
        place = Place(scratch=options.scratch, database_url=database_url, model_url=model_url)
        PROSA.prepare(place)
        profile = _read(_recorded(place, options))
    yield profile.show(), profile


def _recorded(place: Place, options: Options) -> Path:
    """Serve under py-spy, which needs no privileges where it starts the server itself."""
    stacks = options.scratch / "stacks.txt"
    port = children.free_port()
    seconds = _START_SECONDS + options.warm_up + options.seconds
    profiler = [
        *(str(Path(children.python()[0]).with_name("py-spy")), "record", "--gil"),
        *("--format", "raw", "--output", str(stacks)),
        *("--rate", str(_SAMPLES_A_SECOND), "--duration", str(round(seconds))),
    ]
    server = children.python(*PROSA.arguments, "--port", str(port))
    command = [*profiler, "--", *server]
    with children.running(
        command, scratch=options.scratch, settings=PROSA.settings(place)
    ) as child:
        children.wait_until_ready(child, port, "/readyz")
        turns.load(turns.AT_ONCE, Running(port=port, child=child), options)
        try:
            child.wait(seconds + _START_SECONDS)
        except subprocess.TimeoutExpired as late:
            raise BenchmarkError("the profiler did not end") from late
    return stacks


def _read(stacks: Path) -> Profile:
    """Count each stack for the step that it is in and the part that its innermost frame is of."""
    samples = {step: Counter[str]() for step in (*_STEPS.values(), _BETWEEN)}
    for line in stacks.read_text().splitlines():
        stack, _, count = line.rpartition(" ")
        _, serving, frames = stack.partition(";Runner.run ")
        if serving and not any(frame in frames for frame in _STARTING):
            samples[_step(frames)][_part(frames)] += int(count)
    if not any(samples.values()):
        raise BenchmarkError("the profiler saw nothing of the server")
    return Profile(samples={step: dict(parts) for step, parts in samples.items()})


def _step(frames: str) -> str:
    return next((step for name, step in _STEPS.items() if f";{name} " in frames), _BETWEEN)


def _part(frames: str) -> str:
    """Name what the innermost frame is of; a frame is written `function (file:line)`."""
    file = frames.rpartition("(")[2]
    fitting = [beginning for beginning in _PARTS if file.startswith(f"{beginning}/")]
    return _PARTS[max(fitting, key=len)] if fitting else _REST
