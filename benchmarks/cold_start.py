"""The time of a Lambda function from the start of its process to the first answered event."""

import http
import logging
import re
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from unittest import mock

from benchmarks import children, postgres, warm
from benchmarks.children import BenchmarkError
from benchmarks.deployed import Deployed, deploy
from benchmarks.figures import Ratio, Spread, table
from benchmarks.functions import (
    Function,
    account_of,
    measured,
    open_door,
    reply_queue,
    running_bedrock,
)
from benchmarks.options import Options
from benchmarks.servers import PROSA, USUAL, Place, mock_model
from embedded_aws.moto_server import running_moto
from tests.lambda_runtime import FunctionError, LambdaFunction, lambda_function

_STARTS: Final = 10
_NOTHING_AROUND: Final = "-S"
"""The interpreter's option that leaves out what is installed."""
_AT_MOST_MB: Final = 130
_PACKAGES_SHOWN: Final = 12
_IMPORTED: Final = re.compile(r"^import time: +(\d+) \| +\d+ \| +(\w+)", re.MULTILINE)
_ALL_DUE: Final = "update outbox set published_at = null, next_try_at = null, tries = 0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """One cold start."""

    ms: float
    cpu_ms: float
    peak_mb: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Every start of every function, the ratios to the floor, and what was imported."""

    starts: dict[str, list[Start]]
    ratios: list[Ratio]
    cpu_ratios: list[Ratio]
    imported_ms: dict[str, dict[str, float]]

    def show(self) -> str:
        """Write tables, ratios and imports."""
        rows = [
            (
                name,
                Spread.of(one.ms for one in starts).show(),
                Spread.of(one.cpu_ms for one in starts).show(),
                Spread.of(one.peak_mb for one in starts).show(),
                str(round(sum(self.imported_ms[name].values()))),
            )
            for name, starts in self.starts.items()
        ]
        head = ("function", "ms to the first answer", "ms of processor", "peak MB", "ms of imports")
        return "\n".join(
            [
                "cold start, of what is deployed",
                table(head, rows),
                *(ratio.show() for ratio in self.ratios),
                *(ratio.show() for ratio in self.cpu_ratios),
                self._memory(),
                *(_imports(name, found) for name, found in self.imported_ms.items()),
            ]
        )

    def _memory(self) -> str:
        most = max(one.peak_mb for starts in self.starts.values() for one in starts)
        verdict = "kept" if most < _AT_MOST_MB else "MISSED"
        return f"most memory: {most:.0f} MB; wanted under {_AT_MOST_MB}: {verdict}"


def run(options: Options) -> Iterator[tuple[str, object]]:
    """Start the functions in turn, each with a new process; then time a warm one."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # moto's server tells of each request
    with (
        postgres.running(options.scratch) as cluster,
        mock_model(options.scratch, latency_ms=0) as model_url,
    ):
        places = {
            server.name: Place(
                scratch=options.scratch,
                database_url=cluster.create(f"cold_{server.name}"),
                model_url=model_url,
            )
            for server in (USUAL, PROSA)
        }
        PROSA.prepare(places[PROSA.name])
        deployed = deploy(options.scratch)
        with _functions(places[PROSA.name]) as functions:
            starts: dict[str, list[Start]] = {one.name: [] for one in functions}
            for number in range(_STARTS + 1):
                for one in functions:
                    if one.server is PROSA:
                        cluster.execute(f"cold_{PROSA.name}", _ALL_DUE)
                    start = _start(one, places[one.server.name], deployed)
                    if number:  # the first one fills the caches
                        starts[one.name].append(start)
            imported = {
                one.name: _imported(one, places[one.server.name], deployed) for one in functions
            }
        outcome = Outcome(
            starts=starts,
            ratios=_ratios(functions, starts),
            cpu_ratios=_cpu_ratios(functions, starts),
            imported_ms=imported,
        )
        yield outcome.show(), outcome
        overhead = warm.measure(places[PROSA.name])
        yield overhead.show(), overhead


@contextmanager
def _functions(place: Place) -> Iterator[tuple[Function, ...]]:
    """Lend the functions, and what they need of AWS."""
    with running_moto() as aws, running_bedrock() as bedrock, open_door(place) as door:
        account = account_of(aws, bedrock)
        with mock.patch.dict("os.environ", account):
            replies = reply_queue()
        yield measured(account, replies, door)


def _start(function: Function, place: Place, deployed: Deployed) -> Start:
    """Start it once, and wake it."""
    event = function.event()
    with _lambda_function(function, place, deployed) as started:
        begin = time.perf_counter()
        started.start(_NOTHING_AROUND)
        _require_answer(started, event)
        ms = 1000 * (time.perf_counter() - begin)
        cpu_seconds = children.cpu_seconds(started.process_id)
        cpu_ms = 1000 * (cpu_seconds or 0.0)
        return Start(ms=ms, cpu_ms=cpu_ms, peak_mb=_peak_mb(started.process_id))


def _lambda_function(
    function: Function, place: Place, deployed: Deployed
) -> AbstractContextManager[LambdaFunction]:
    path = deployed.prosa if function.server is PROSA else deployed.floor
    compiled = {"PYTHONPYCACHEPREFIX": "", "PYTHONPATH": path}
    settings = {**function.server.settings(place), **function.also, **compiled}
    variables = children.environment(place.scratch, settings)
    return lambda_function(function.module, variables, place.scratch, handler=function.handler)


def _imported(function: Function, place: Place, deployed: Deployed) -> dict[str, float]:
    """Start it once more; give the milliseconds that each package's own modules took to load."""
    with _lambda_function(function, place, deployed) as started:
        before = len(started.log)
        started.start(_NOTHING_AROUND, "-X", "importtime")
        _require_answer(started, function.event())
        found: Counter[str] = Counter()
        for microseconds, package in _IMPORTED.findall(started.log[before:]):
            found[package] += int(microseconds)
    return {package: us / 1000 for package, us in found.most_common()}


def _require_answer(started: LambdaFunction, event: object) -> None:
    try:
        returned = started.invoke(event)
    except (FunctionError, AssertionError) as error:
        raise BenchmarkError(f"{error}\n{started.log[-2000:]}") from error
    if not _is_good(returned or {}):
        raise BenchmarkError(f"no good answer: {returned}\n{started.log[-2000:]}")


def _is_good(returned: dict[str, Any]) -> bool:
    answered = returned.get("statusCode", http.HTTPStatus.OK) == http.HTTPStatus.OK
    consumed = returned.get("consumed", True) and not returned.get("batchItemFailures")
    relayed = "published" not in returned or not returned["failed"]
    return answered and consumed and relayed


def _peak_mb(process_id: int) -> float:
    """Read the most memory that a process has held (Linux only; elsewhere 0)."""
    try:
        status = Path(f"/proc/{process_id}/status").read_text()
    except OSError:
        return 0.0
    held = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(held[1]) / 1024 if held else 0.0


def _ratios(functions: Sequence[Function], starts: dict[str, list[Start]]) -> list[Ratio]:
    floor, *others = ([one.ms for one in starts[function.name]] for function in functions)
    return [
        Ratio.of(f"{function.name} / floor", found, floor, at_most=function.at_most)
        for function, found in zip(functions[1:], others, strict=True)
    ]


def _cpu_ratios(functions: Sequence[Function], starts: dict[str, list[Start]]) -> list[Ratio]:
    """Compare processor times: no bound, but steadier where others use the machine."""
    floor, *others = ([one.cpu_ms for one in starts[function.name]] for function in functions)
    return [
        Ratio.of(f"processor: {function.name} / floor", found, floor)
        for function, found in zip(functions[1:], others, strict=True)
        if min(floor) > 0
    ]


def _imports(name: str, found: dict[str, float]) -> str:
    shown = [*found.items()][:_PACKAGES_SHOWN]
    return f"{name} imports, ms: " + ", ".join(f"{package} {ms:.0f}" for package, ms in shown)
