"""Turns per second through HTTP on Postgres: Prosa beside the two floors, round by round."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

from benchmarks import children, postgres
from benchmarks.figures import Ratio, Spread, table
from benchmarks.load import Load
from benchmarks.options import Options
from benchmarks.servers import PROSA, THIN, USUAL, Place, Running, Server, mock_model

_GRACE_SECONDS: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """How slow the model is, how many customers write at once, and what Prosa should reach."""

    name: str
    title: str
    latency_ms: float
    connections: int
    floor: str
    at_least: float


AT_ONCE: Final = Scenario(
    name="at_once",
    title="model answers at once, 16 connections",
    latency_ms=0,
    connections=16,
    floor=USUAL.name,
    at_least=1.0,
)
SCENARIOS: Final = (
    AT_ONCE,
    Scenario(
        name="after_200_ms",
        title="model answers after 200 ms, 256 connections (1,280 turns/s would be perfect)",
        latency_ms=200,
        connections=256,
        floor=THIN.name,
        at_least=0.75,
    ),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Round:
    """One server under load once."""

    load: Load
    cpu_us_per_turn: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """A scenario's rounds by server, and Prosa's ratios to the floors."""

    scenario: Scenario
    rounds: dict[str, list[Round]]
    ratios: list[Ratio]

    def show(self, servers: Sequence[Server]) -> str:
        """Write the table and the ratios below it."""
        head = ("server", "turns/s", "p50 ms", "p95 ms", "p99 ms", "server CPU µs/turn")
        rows = [(server.title, *_cells(self.rounds[server.name])) for server in servers]
        ratios = [ratio.show() for ratio in self.ratios]
        return "\n".join([f"turns: {self.scenario.title}", table(head, rows), *ratios])


def run(options: Options) -> Iterator[tuple[str, Outcome]]:
    """Measure each scenario; each outcome comes with its text."""
    for scenario in SCENARIOS:
        outcome = measure(scenario, options, options.servers)
        yield outcome.show(options.servers), outcome


def measure(scenario: Scenario, options: Options, servers: Sequence[Server]) -> Outcome:
    """Load the servers in turn, round by round."""
    rounds: dict[str, list[Round]] = {server.name: [] for server in servers}
    with _places(scenario, options, servers) as places:
        for _ in range(options.rounds):
            for server in servers:
                rounds[server.name].append(_round(scenario, server, places[server.name], options))
    return Outcome(scenario=scenario, rounds=rounds, ratios=_ratios(scenario, rounds))


@contextmanager
def _places(
    scenario: Scenario, options: Options, servers: Sequence[Server]
) -> Iterator[dict[str, Place]]:
    """Give each server a database of its own in one cluster, prepared."""
    scratch = options.scratch
    with (
        postgres.running(scratch) as cluster,
        mock_model(scratch, latency_ms=scenario.latency_ms) as model_url,
    ):
        cluster.recycle_log()
        places = {}
        for server in servers:
            place = Place(
                scratch=scratch, database_url=cluster.create(server.name), model_url=model_url
            )
            server.prepare(place)
            places[server.name] = place
        yield places


def _round(scenario: Scenario, server: Server, place: Place, options: Options) -> Round:
    """Start one server, alone, load it and stop it."""
    with server.running(place) as running:
        before = children.cpu_seconds(running.child.pid)
        found = load(scenario, running, options)
        after = children.cpu_seconds(running.child.pid)
    used = None if before is None or after is None else after - before
    return Round(load=found, cpu_us_per_turn=used and 1e6 * used / found.turns_with_warm_up)


def load(scenario: Scenario, running: Running, options: Options) -> Load:
    """Have the load generator play a scenario against a server."""
    arguments = {
        "--port": running.port,
        "--connections": scenario.connections,
        "--warm-up": options.warm_up,
        "--seconds": options.seconds,
    }
    words = [str(word) for pair in arguments.items() for word in pair]
    command = children.python("-m", "benchmarks.load", *words)
    limit = options.warm_up + options.seconds + _GRACE_SECONDS
    return Load(
        **json.loads(children.run(command, scratch=options.scratch, settings={}, seconds=limit))
    )


def _ratios(scenario: Scenario, rounds: dict[str, list[Round]]) -> list[Ratio]:
    prosa = speeds(rounds.get(PROSA.name, []))
    return [
        Ratio.of(
            f"Prosa / {floor.title}",
            prosa,
            speeds(rounds[floor.name]),
            at_least=scenario.at_least if floor.name == scenario.floor else None,
        )
        for floor in (USUAL, THIN)
        if prosa and floor.name in rounds
    ]


def speeds(rounds: Sequence[Round]) -> list[float]:
    """Give the turns per second of each round."""
    return [one.load.turns_per_second for one in rounds]


def _cells(rounds: Sequence[Round]) -> list[str]:
    loads = [one.load for one in rounds]
    cpu = [one.cpu_us_per_turn for one in rounds if one.cpu_us_per_turn is not None]
    return [
        Spread.of(speeds(rounds)).show(),
        Spread.of(load.p50_ms for load in loads).show(1),
        Spread.of(load.p95_ms for load in loads).show(1),
        Spread.of(load.p99_ms for load in loads).show(1),
        Spread.of(cpu).show() if cpu else "–",
    ]
