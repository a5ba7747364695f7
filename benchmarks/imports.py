"""The time of `import prosa` beside a bare interpreter, and of `prosa serve` until it is ready."""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Final

from benchmarks import children
from benchmarks.figures import Spread, table
from benchmarks.options import Options
from benchmarks.servers import PROSA, Place, mock_model

_AT_MOST_MS: Final = 50
_RUNS_A_ROUND: Final = 10
_RUN_SECONDS: Final = 60
_POLL_SECONDS: Final = 0.005
_BARE: Final = "bare interpreter"
_IMPORT: Final = "import prosa"
_FIRST: Final = "prosa serve, new SQLite file"
_LATER: Final = "prosa serve, the same file again"


@dataclass(frozen=True, slots=True, kw_only=True)
class Bytecode:
    """Whether the interpreter finds compiled modules; where not, it compiles every one it loads."""

    title: str
    settings: Mapping[str, str]
    at_most_ms: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Milliseconds by what was started, and what `import prosa` adds: one value a round."""

    title: str
    ms: dict[str, list[float]]
    added_ms: list[float]
    at_most_ms: float | None

    def show(self) -> str:
        """Write the table and what the import adds below it."""
        rows = [(name, Spread.of(found).show(1)) for name, found in self.ms.items()]
        added = f"`import prosa` adds {Spread.of(self.added_ms).show(1)} ms{self._verdict()}"
        return "\n".join([f"imports: {self.title}", table(("started", "ms"), rows), added])

    def _verdict(self) -> str:
        if self.at_most_ms is None:
            return ""
        is_kept = median(self.added_ms) < self.at_most_ms
        return f"; wanted under {self.at_most_ms:g}: {'kept' if is_kept else 'MISSED'}"


def run(options: Options) -> Iterator[tuple[str, Outcome]]:
    """Measure with and without cached bytecode."""
    nowhere = str(options.scratch / "no-bytecode")
    without = {"PYTHONPYCACHEPREFIX": nowhere, "PYTHONDONTWRITEBYTECODE": "1"}
    for bytecode in (
        Bytecode(title="with cached bytecode", settings={}, at_most_ms=_AT_MOST_MS),
        Bytecode(title="without cached bytecode, as in a freshly unpacked image", settings=without),
    ):
        outcome = _measure(bytecode, options)
        yield outcome.show(), outcome


def _measure(bytecode: Bytecode, options: Options) -> Outcome:
    """Measure round by round, after one that is dropped: it fills the caches."""
    with mock_model(options.scratch, latency_ms=0) as model_url:
        rounds = [
            {**_starts(bytecode, options.scratch), **_serves(bytecode, options.scratch, model_url)}
            for _ in range(options.rounds + 1)
        ][1:]
    ms = {name: [one[name] for one in rounds] for name in rounds[0]}
    added = [one[_IMPORT] - one[_BARE] for one in rounds]
    return Outcome(title=bytecode.title, ms=ms, added_ms=added, at_most_ms=bytecode.at_most_ms)


def _starts(bytecode: Bytecode, scratch: Path) -> dict[str, float]:
    """Start interpreters in turn, without and with the import; give the medians."""
    found: dict[str, list[float]] = {_BARE: [], _IMPORT: []}
    for _ in range(_RUNS_A_ROUND):
        for name, statement in ((_BARE, "pass"), (_IMPORT, "import prosa")):
            command = children.python("-c", statement)
            begin = time.perf_counter()
            children.run(command, scratch=scratch, settings=bytecode.settings, seconds=_RUN_SECONDS)
            found[name].append(1000 * (time.perf_counter() - begin))
    return {name: median(times) for name, times in found.items()}


def _serves(bytecode: Bytecode, scratch: Path, model_url: str) -> dict[str, float]:
    """Start the server on a new SQLite file, which it migrates, and once more on the same file."""
    url = f"sqlite+aiosqlite:///{scratch / f'{time.time_ns()}.db'}"
    place = Place(scratch=scratch, database_url=url, model_url=model_url)
    return {name: _ready_ms(bytecode, place) for name in (_FIRST, _LATER)}


def _ready_ms(bytecode: Bytecode, place: Place) -> float:
    begin = time.perf_counter()
    with PROSA.running(place, also=bytecode.settings, pause=_POLL_SECONDS):
        return 1000 * (time.perf_counter() - begin)
