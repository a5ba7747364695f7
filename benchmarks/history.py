"""The cost of the next turn in short, long and very long conversations, through HTTP on Postgres.

The conversations are made by taking their turns, so that they hold what real ones hold. Then one
client posts to them in turn, one request at a time: within a round only the history differs.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import chain, cycle, islice
from statistics import median
from typing import Final

import uvloop

from benchmarks import postgres
from benchmarks.children import BenchmarkError
from benchmarks.conversation import TEXTS, WrongAnswerError, say
from benchmarks.figures import Ratio, Spread, table
from benchmarks.http_client import Connection
from benchmarks.options import Options
from benchmarks.servers import PROSA, Place, mock_model

SIZES: Final = (10, 100, 1_000, 10_000)
_AT_MOST: Final = 1.1
_TURNS_A_ROUND: Final = 50
_WARM_UP_ROUNDS: Final = 1
_SEEDERS: Final = 8
_SEED_SECONDS: Final = 900
_ROUND_SECONDS: Final = 120

Conversations = dict[int, Iterator[str]]
Latencies = dict[int, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The median latency of the next turn, one value a round, by the messages before it."""

    turns_a_round: int
    p50_ms: dict[int, list[float]]
    ratios: list[Ratio]

    def show(self) -> str:
        """Write the table and the ratios below it."""
        rows = [(f"{size:,}", Spread.of(found).show(2)) for size, found in self.p50_ms.items()]
        title = f"history: the next turn, one client, {self.turns_a_round} turns of each a round"
        ratios = [ratio.show() for ratio in self.ratios]
        return "\n".join([title, table(("messages before", "p50 ms"), rows), *ratios])


def run(options: Options) -> Iterator[tuple[str, Outcome]]:
    """Seed, let Postgres settle, measure."""
    scratch = options.scratch
    with (
        postgres.running(scratch) as cluster,
        mock_model(scratch, latency_ms=0) as model_url,
    ):
        url = cluster.create(PROSA.name)
        place = Place(scratch=scratch, database_url=url, model_url=model_url)
        PROSA.prepare(place)
        with PROSA.running(place) as server:
            conversations = uvloop.run(_seed_all(server.port, options.rounds))
            cluster.settle(PROSA.name)
            rounds = uvloop.run(_measure(server.port, conversations, options.rounds))
    outcome = _outcome(rounds)
    yield outcome.show(), outcome


@asynccontextmanager
async def _bounded(seconds: float) -> AsyncIterator[None]:
    """Let what a server does wrong, or too slowly, end the benchmark."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise BenchmarkError(f"not done within {seconds} s") from error
    except (OSError, WrongAnswerError) as error:
        raise BenchmarkError(f"{type(error).__name__}: {error}") from error


async def _seed_all(port: int, rounds: int) -> Conversations:
    """Make so many of each size that none grows by more than a tenth, or by a turn if short."""
    turns = (rounds + _WARM_UP_ROUNDS) * _TURNS_A_ROUND
    wanted = {size: math.ceil(turns / _visits(size)) for size in SIZES}
    made: dict[int, list[str]] = {size: [] for size in SIZES}
    todo = iter([size for size in reversed(SIZES) for _ in range(wanted[size])])
    async with _bounded(_SEED_SECONDS):
        await asyncio.gather(*(_seed(port, todo, made) for _ in range(_SEEDERS)))
    return {
        size: chain.from_iterable([one] * _visits(size) for one in made[size]) for size in SIZES
    }


def _visits(size: int) -> int:
    return max(1, size // 20)


async def _seed(port: int, todo: Iterator[int], made: dict[int, list[str]]) -> None:
    """Make conversations as long as there are sizes left to do; all seeders share the iterator."""
    connection = await Connection.open(port)
    for size in todo:
        conversation_id = None
        for text in islice(cycle(TEXTS), size // 2):
            conversation_id = await say(connection, text, conversation_id)
        assert conversation_id
        made[size].append(conversation_id)
    connection.close()


async def _measure(port: int, conversations: Conversations, rounds: int) -> list[Latencies]:
    connection = await Connection.open(port)
    async with _bounded(_ROUND_SECONDS * (rounds + _WARM_UP_ROUNDS)):
        found = [await _round(connection, conversations) for _ in range(rounds + _WARM_UP_ROUNDS)]
    connection.close()
    return found[_WARM_UP_ROUNDS:]


async def _round(connection: Connection, conversations: Conversations) -> Latencies:
    """Post to the sizes in turn and give the median latency of each, in milliseconds."""
    latencies: dict[int, list[float]] = {size: [] for size in SIZES}
    for text in islice(cycle(TEXTS), _TURNS_A_ROUND):
        for size in SIZES:
            asked = time.perf_counter()
            await say(connection, text, next(conversations[size]))
            latencies[size].append(1000 * (time.perf_counter() - asked))
    return {size: median(found) for size, found in latencies.items()}


def _outcome(rounds: Sequence[Latencies]) -> Outcome:
    p50_ms = {size: [one[size] for one in rounds] for size in SIZES}
    shortest, *longer = SIZES
    ratios = [
        Ratio.of(
            f"{size:,} messages / {shortest}",
            p50_ms[size],
            p50_ms[shortest],
            at_most=_AT_MOST if size == SIZES[-1] else None,
        )
        for size in longer
    ]
    return Outcome(turns_a_round=_TURNS_A_ROUND, p50_ms=p50_ms, ratios=ratios)
