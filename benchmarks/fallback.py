"""What a dead primary model costs a turn once its circuit is open, beside a healthy model."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from statistics import median
from typing import Final

from benchmarks import postgres, turns
from benchmarks.figures import Ratio, Spread, table
from benchmarks.mock_model import DEAD, MODEL
from benchmarks.options import Options
from benchmarks.servers import PROSA, Place, mock_model

_AT_MOST_MS: Final = 5.0
_LATENCY_MS: Final = 20
_HEALTHY: Final = {"PROSA_MODELS": f"openai:{MODEL}"}
_DEAD: Final = {
    "PROSA_MODELS": f"openai:{DEAD},openai:{MODEL}",
    # Longer than the run, so that no probe falls into it.
    "PROSA_BREAKER_REST_SECONDS": "3600",
}
_CHAINS: Final = {"healthy model": _HEALTHY, "dead primary, open circuit": _DEAD}
_CLIENT: Final = turns.Scenario(
    name="one_client",
    title="one client",
    latency_ms=_LATENCY_MS,
    connections=1,
    floor="",
    at_least=0.0,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The median latency of a turn by chain, one value a round, and what the dead model adds."""

    p50_ms: dict[str, list[float]]
    added_ms: list[float]
    ratio: Ratio

    def show(self) -> str:
        """Write the table and what is added below it."""
        rows = [(chain, Spread.of(found).show(2)) for chain, found in self.p50_ms.items()]
        kept = "kept" if median(self.added_ms) < _AT_MOST_MS else "MISSED"
        added = f"a dead primary adds {Spread.of(self.added_ms).show(2)} ms"
        title = f"fallback: a turn of one client, model answers after {_LATENCY_MS} ms"
        verdict = f"{added}; wanted under {_AT_MOST_MS:g}: {kept}"
        return "\n".join([title, table(("chain", "p50 ms"), rows), self.ratio.show(), verdict])


def run(options: Options) -> Iterator[tuple[str, Outcome]]:
    """Serve both chains at once and load them in turn; the warm-up opens the circuit."""
    p50_ms: dict[str, list[float]] = {chain: [] for chain in _CHAINS}
    scratch = options.scratch
    with ExitStack() as stack:
        cluster = stack.enter_context(postgres.running(scratch))
        model_url = stack.enter_context(mock_model(scratch, latency_ms=_LATENCY_MS))
        servers = {}
        for number, (chain, settings) in enumerate(_CHAINS.items()):
            url = cluster.create(f"chain_{number}")
            place = Place(scratch=scratch, database_url=url, model_url=model_url)
            PROSA.prepare(place)
            servers[chain] = stack.enter_context(PROSA.running(place, also=settings))
        for _ in range(options.rounds):
            for chain, server in servers.items():
                p50_ms[chain].append(turns.load(_CLIENT, server, options).p50_ms)
    outcome = _outcome(p50_ms)
    yield outcome.show(), outcome


def _outcome(p50_ms: dict[str, list[float]]) -> Outcome:
    healthy, dead = p50_ms.values()
    added = [one - other for one, other in zip(dead, healthy, strict=True)]
    ratio = Ratio.of("dead primary / healthy model", dead, healthy)
    return Outcome(p50_ms=p50_ms, added_ms=added, ratio=ratio)
