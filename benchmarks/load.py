"""The load generator: N connections that play conversations of five turns for some seconds.

Run as `python -m benchmarks.load --port 8000 --connections 16 --warm-up 1 --seconds 5`: a process
of its own, so that its work is not the server's. It prints one JSON object; a single wrong answer
ends it with exit code 1.
"""

import argparse
import asyncio
import math
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import orjson
import uvloop

from benchmarks.conversation import TEXTS, WrongAnswerError, say
from benchmarks.http_client import Connection

_GRACE_SECONDS: Final = 30


@dataclass(frozen=True, slots=True, kw_only=True)
class Load:
    """Turns that ended within the measured seconds, and latencies of those begun in them."""

    turns: int
    turns_with_warm_up: int
    turns_per_second: float
    p50_ms: float
    p95_ms: float
    p99_ms: float
    errors: int
    first_error: str | None


@dataclass(slots=True, kw_only=True)
class Tally:
    """Counts while the connections play: times are `time.perf_counter`'s."""

    begin: float
    end: float
    turns_with_warm_up: int = 0
    turns: int = 0
    latencies: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)

    def add(self, asked: float, answered: float) -> None:
        """Count a turn.

        A slow one, begun in time and answered after the end, is missing in the rate, as it should,
        but not among the latencies, where it would be missed.
        """
        self.turns_with_warm_up += 1
        self.turns += self.begin <= answered < self.end
        if self.begin <= asked < self.end:
            self.latencies.append(answered - asked)

    def is_over(self) -> bool:
        """Tell whether to stop: the time is up or an answer was wrong."""
        return bool(self.errors) or time.perf_counter() >= self.end


def percentile(ordered: Sequence[float], share: float) -> float:
    """Give the nearest-rank percentile of ascending values, `nan` of none."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else math.nan


def summary(tally: Tally) -> Load:
    """Turn what was counted into figures."""
    ordered = sorted(1000 * latency for latency in tally.latencies)
    return Load(
        turns=tally.turns,
        turns_with_warm_up=tally.turns_with_warm_up,
        turns_per_second=tally.turns / (tally.end - tally.begin),
        p50_ms=percentile(ordered, 0.50),
        p95_ms=percentile(ordered, 0.95),
        p99_ms=percentile(ordered, 0.99),
        errors=len(tally.errors),
        first_error=tally.errors[0] if tally.errors else None,
    )


async def _converse(connection: Connection, tally: Tally) -> None:
    """Play one conversation, or as much of it as the time allows."""
    conversation_id = None
    for text in TEXTS:
        if tally.is_over():
            return
        asked = time.perf_counter()
        conversation_id = await say(connection, text, conversation_id)
        tally.add(asked, time.perf_counter())


async def _play(port: int, tally: Tally, wait: float) -> None:
    """Play conversations one after another on one connection, the first after a wait."""
    await asyncio.sleep(wait)
    try:
        connection = await Connection.open(port)
        while not tally.is_over():
            await _converse(connection, tally)
        connection.close()
    except (OSError, WrongAnswerError) as error:
        tally.errors.append(f"{type(error).__name__}: {error}")


async def run(*, port: int, connections: int, warm_up: float, seconds: float) -> Load:
    """Load a server; the connections start evenly over the first half of the warm-up."""
    begin = time.perf_counter() + warm_up
    tally = Tally(begin=begin, end=begin + seconds)
    step = warm_up / 2 / connections
    try:
        async with (
            asyncio.timeout(warm_up + seconds + _GRACE_SECONDS),
            asyncio.TaskGroup() as players,
        ):
            for number in range(connections):
                players.create_task(_play(port, tally, number * step))
    except TimeoutError:
        tally.errors.append(f"no answer within {_GRACE_SECONDS} s after the end")
    return summary(tally)


def main() -> None:
    """Read the arguments, load, print the figures."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--connections", type=int, required=True)
    parser.add_argument("--warm-up", type=float, default=1.0)
    parser.add_argument("--seconds", type=float, default=5.0)
    arguments = parser.parse_args()
    load = uvloop.run(run(**vars(arguments)))
    print(orjson.dumps(load).decode())
    sys.exit(1 if load.errors or not load.turns else 0)


if __name__ == "__main__":
    main()
