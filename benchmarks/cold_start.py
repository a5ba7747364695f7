"""The time of a Lambda function from the start of its process to the first answered event."""

import http
import logging
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Final

import orjson

from benchmarks import children, postgres
from benchmarks.children import BenchmarkError
from benchmarks.figures import Ratio, Spread, table
from benchmarks.mock_model import REPLY
from benchmarks.options import Options
from benchmarks.servers import PROSA, USUAL, Place, Server, mock_model
from tests.aws import REGION, running_moto
from tests.entrypoints.aws_lambda.gateway import JSON, Request, http_api_event
from tests.lambda_runtime import FunctionError, LambdaFunction, lambda_function

_STARTS: Final = 10
_AT_MOST_MB: Final = 130
_PACKAGES_SHOWN: Final = 12
_MESSAGE: Final = http_api_event(
    Request(method="POST", path="/v1/messages", headers=JSON, body='{"text": "Where is my order?"}')
)
_SCHEDULED: Final = {"source": "aws.events", "detail-type": "Scheduled Event"}
_PLACE: Final = "prosa.entrypoints.aws_lambda"
_IMPORTED: Final = re.compile(r"^import time: +(\d+) \| +\d+ \| +(\w+)", re.MULTILINE)
_CONVERSED: Final = orjson.dumps(
    {
        "output": {"message": {"role": "assistant", "content": [{"text": REPLY}]}},
        "stopReason": "end_turn",
        "usage": {"inputTokens": 64, "outputTokens": 17, "totalTokens": 81},
        "metrics": {"latencyMs": 1},
    }
)
_ALL_DUE: Final = "update outbox set published_at = null, next_try_at = null, tries = 0"


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """What is started, and with what it is woken."""

    name: str
    module: str
    event: object
    server: Server = PROSA
    also: Mapping[str, str] = field(default_factory=dict)
    at_most: float | None = None
    """How many times the floor's time it may take."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Start:
    """One cold start."""

    ms: float
    peak_mb: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """Every start of every function, the ratios to the floor, and what was imported."""

    starts: dict[str, list[Start]]
    ratios: list[Ratio]
    imported_ms: dict[str, dict[str, float]]

    def show(self) -> str:
        """Write tables, ratios and imports."""
        rows = [
            (
                name,
                Spread.of(one.ms for one in starts).show(),
                Spread.of(one.peak_mb for one in starts).show(),
                str(round(sum(self.imported_ms[name].values()))),
            )
            for name, starts in self.starts.items()
        ]
        head = ("function", "ms to the first answer", "peak MB", "ms of imports")
        return "\n".join(
            [
                "cold start, with cached bytecode",
                table(head, rows),
                *(ratio.show() for ratio in self.ratios),
                self._memory(),
                *(_imports(name, found) for name, found in self.imported_ms.items()),
            ]
        )

    def _memory(self) -> str:
        most = max(one.peak_mb for starts in self.starts.values() for one in starts)
        verdict = "kept" if most < _AT_MOST_MB else "MISSED"
        return f"most memory: {most:.0f} MB; wanted under {_AT_MOST_MB}: {verdict}"


def run(options: Options) -> Iterator[tuple[str, Outcome]]:
    """Start the functions in turn, each with a new process, on one Postgres and one model."""
    logging.getLogger("werkzeug").setLevel(logging.WARNING)  # moto's server tells of each request
    with (
        postgres.running(options.scratch) as cluster,
        mock_model(options.scratch, latency_ms=0) as model_url,
        running_moto() as aws,
        _bedrock() as bedrock,
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
        functions = _functions(aws, bedrock)
        starts: dict[str, list[Start]] = {one.name: [] for one in functions}
        for number in range(_STARTS + 1):
            for one in functions:
                if one.server is PROSA:
                    cluster.execute(f"cold_{PROSA.name}", _ALL_DUE)
                start = _start(one, places[one.server.name])
                if number:  # the first one fills the caches
                    starts[one.name].append(start)
        imported = {one.name: _imported(one, places[one.server.name]) for one in functions}
    outcome = Outcome(starts=starts, ratios=_ratios(functions, starts), imported_ms=imported)
    yield outcome.show(), outcome


class _Converse(BaseHTTPRequestHandler):
    """Answers as Bedrock's Converse does, the same each time."""

    protocol_version = "HTTP/1.1"
    wbufsize = -1  # one packet: a second one would wait 40 ms

    def do_POST(self) -> None:
        """Answer."""
        self.rfile.read(int(self.headers["content-length"]))
        self.send_response(http.HTTPStatus.OK)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(_CONVERSED)))
        self.end_headers()
        self.wfile.write(_CONVERSED)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def _bedrock() -> Iterator[str]:
    """Run a Bedrock within the block and give its address."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Converse) as server:
        threading.Thread(target=server.serve_forever, args=[0.02], daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def _functions(aws: str, bedrock: str) -> tuple[Function, ...]:
    account = {
        "AWS_ACCESS_KEY_ID": "benchmark",
        "AWS_SECRET_ACCESS_KEY": "benchmark",
        "AWS_DEFAULT_REGION": REGION,
        "AWS_ENDPOINT_URL": aws,
        "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": bedrock,
    }
    relay = f"{_PLACE}.relay_outbox"
    return (
        Function(
            name="floor: a turn by FastAPI, asyncpg, httpx",
            module="benchmarks.floors.function",
            event=_MESSAGE,
            server=USUAL,
        ),
        Function(
            name="http: a turn by Bedrock",
            module=f"{_PLACE}.http",
            event=_MESSAGE,
            also={**account, "PROSA_MODELS": "bedrock:amazon.nova-lite-v1:0"},
            at_most=2.0,
        ),
        Function(
            name="http: a turn by OpenAI's SDK",
            module=f"{_PLACE}.http",
            event=_MESSAGE,
            at_most=2.0,
        ),
        Function(name="relay, to the log", module=relay, event=_SCHEDULED, at_most=1.2),
        Function(
            name="relay, to EventBridge",
            module=relay,
            event=_SCHEDULED,
            also={**account, "PROSA_EVENT_BUS": "eventbridge"},
            at_most=1.2,
        ),
        Function(
            name="recover, with Bedrock",
            module=f"{_PLACE}.recover_turns",
            event=_SCHEDULED,
            also={**account, "PROSA_MODELS": "bedrock:amazon.nova-lite-v1:0"},
        ),
    )


def _start(function: Function, place: Place) -> Start:
    """Start it once, and wake it."""
    with lambda_function(function.module, _variables(function, place), place.scratch) as started:
        begin = time.perf_counter()
        started.start()
        _require_answer(started, function.event)
        ms = 1000 * (time.perf_counter() - begin)
        return Start(ms=ms, peak_mb=_peak_mb(started.process_id))


def _imported(function: Function, place: Place) -> dict[str, float]:
    """Start it once more; give the milliseconds that each package's own modules took to load."""
    with lambda_function(function.module, _variables(function, place), place.scratch) as started:
        before = len(started.log)
        started.start("-X", "importtime")
        _require_answer(started, function.event)
        found: Counter[str] = Counter()
        for microseconds, package in _IMPORTED.findall(started.log[before:]):
            found[package] += int(microseconds)
    return {package: us / 1000 for package, us in found.most_common()}


def _variables(function: Function, place: Place) -> dict[str, str]:
    settings = {**function.server.settings(place), **function.also}
    return children.environment(place.scratch, settings)


def _require_answer(started: LambdaFunction, event: object) -> None:
    try:
        returned = started.invoke(event)
    except (FunctionError, AssertionError) as error:
        raise BenchmarkError(f"{error}\n{started.log[-2000:]}") from error
    if returned.get("statusCode", 200) != http.HTTPStatus.OK or returned.get("failed"):
        raise BenchmarkError(f"no good answer: {returned}\n{started.log[-2000:]}")


def _peak_mb(process_id: int) -> float:
    """Read the most memory that a process has held (Linux only; elsewhere 0)."""
    try:
        status = Path(f"/proc/{process_id}/status").read_text()
    except OSError:
        return 0.0
    held = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(held[1]) / 1024 if held else 0.0


def _ratios(functions: tuple[Function, ...], starts: dict[str, list[Start]]) -> list[Ratio]:
    floor, *others = ([one.ms for one in starts[function.name]] for function in functions)
    return [
        Ratio.of(f"{function.name} / floor", found, floor, at_most=function.at_most)
        for function, found in zip(functions[1:], others, strict=True)
    ]


def _imports(name: str, found: dict[str, float]) -> str:
    shown = [*found.items()][:_PACKAGES_SHOWN]
    return f"{name} imports, ms: " + ", ".join(f"{package} {ms:.0f}" for package, ms in shown)
