"""What it costs to be seen: Prosa without telemetry, with it, and with every trace kept."""

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Final

from benchmarks.figures import Ratio, Spread, table
from benchmarks.options import Options
from benchmarks.servers import PROSA, Place, Prosa
from benchmarks.turns import AT_ONCE, Round, measure, speeds

AT_LEAST: Final = 0.95
"""Of the turns per second without telemetry."""

SEEN: Final = "seen"


@dataclass(frozen=True, slots=True, kw_only=True)
class SeenProsa(Prosa):
    """Prosa with some of OpenTelemetry's variables."""

    variables: Mapping[str, str]

    def settings(self, place: Place) -> Mapping[str, str]:
        """Give Prosa's own variables and these."""
        return {**Prosa.settings(self, place), **self.variables}


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The rounds of each, how much the collector was sent, and the ratios to no telemetry."""

    rounds: dict[str, list[Round]]
    ratios: list[Ratio]
    requests: int

    def show(self, servers: Sequence[Prosa]) -> str:
        """Write the table and the ratios below it."""
        head = ("server", "turns/s", "server CPU µs/turn")
        rows = [(server.title, *_cells(self.rounds[server.name])) for server in servers]
        sent = f"The collector was sent {self.requests} requests."
        told = [ratio.show() for ratio in self.ratios]
        return "\n".join([f"telemetry: {AT_ONCE.title}", table(head, rows), *told, sent])


def run(options: Options) -> Iterator[tuple[str, Outcome]]:
    """Load them in turn; the ratios are of turns per second, and processor time, of a round."""
    with _collector() as collector:
        servers = _servers(f"http://127.0.0.1:{collector.server_port}")
        found = measure(AT_ONCE, options, servers).rounds
        ratios = [ratio for server in servers[1:] for ratio in _ratios(server, found, PROSA.name)]
        outcome = Outcome(rounds=found, ratios=ratios, requests=collector.requests)
    yield outcome.show(servers), outcome


def _ratios(server: Prosa, found: Mapping[str, list[Round]], without: str) -> Iterator[Ratio]:
    """Compare a server with the one without telemetry; only what is the default has a bound."""
    title = f"{server.title} / {PROSA.title}"
    ours, theirs = found[server.name], found[without]
    at_least = AT_LEAST if server.name == SEEN else None
    yield Ratio.of(f"{title}, turns/s", speeds(ours), speeds(theirs), at_least=at_least)
    times = _times(ours), _times(theirs)
    if all(times):
        yield Ratio.of(f"{title}, processor time a turn", *times)


def _servers(endpoint: str) -> list[Prosa]:
    """Have metrics sent every 5 s, not every minute, so that sending them is measured, too."""
    variables = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_METRIC_EXPORT_INTERVAL": "5000"}
    every = {**variables, "OTEL_TRACES_SAMPLER": "parentbased_always_on"}
    return [
        PROSA,
        _seen(SEEN, "Prosa, seen", variables),
        _seen("every", "Prosa, every trace kept", every),
    ]


def _seen(name: str, title: str, variables: Mapping[str, str]) -> SeenProsa:
    return SeenProsa(
        name=name,
        title=title,
        arguments=PROSA.arguments,
        preparation=PROSA.preparation,
        variables=variables,
    )


class _Collector(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests = 0


class _Handler(BaseHTTPRequestHandler):
    server: _Collector
    protocol_version = "HTTP/1.1"
    wbufsize = -1

    def do_POST(self) -> None:
        """Take what is sent, and forget it."""
        self.rfile.read(int(self.headers["content-length"]))
        self.server.requests += 1
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@contextmanager
def _collector() -> Iterator[_Collector]:
    with _Collector() as collector:
        threading.Thread(target=collector.serve_forever, daemon=True).start()
        yield collector
        collector.shutdown()


def _times(rounds: Sequence[Round]) -> list[float]:
    """Give the processor time of each round, µs a turn; none where the system does not tell."""
    return [one.cpu_us_per_turn for one in rounds if one.cpu_us_per_turn is not None]


def _cells(rounds: Sequence[Round]) -> list[str]:
    cpu = _times(rounds)
    return [Spread.of(speeds(rounds)).show(), Spread.of(cpu).show() if cpu else "–"]
