"""Watches servers from outside while they work: memory, threads, files, connections."""

import asyncio
import contextlib
import statistics
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import asyncpg
import psutil

MEGABYTE = 1024 * 1024
MINUTE = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """What a server and its workers hold at a moment; `at` in seconds from the beginning."""

    at: float
    megabytes: tuple[float, ...]
    """Resident memory, process by process: the server first."""
    threads: int
    files: int
    """Open file descriptors, connections among them."""
    connections: int
    """Those of the database, as the database counts them; 0 where it is a file."""


@dataclass(slots=True, kw_only=True)
class Observer:
    """Samples a server with its workers, and counts connections where `database` is a Postgres."""

    server: psutil.Process
    database: asyncpg.Connection | None = None
    samples: list[Sample] = field(default_factory=list)
    began: float = field(default_factory=time.monotonic)

    async def sample(self) -> Sample:
        """Look once."""
        held = [*self._held()]
        sample = Sample(
            at=time.monotonic() - self.began,
            megabytes=tuple(memory for memory, _, _ in held),
            threads=sum(threads for _, threads, _ in held),
            files=sum(files for _, _, files in held),
            connections=await self._connections(),
        )
        self.samples.append(sample)
        return sample

    async def at_rest(self, bound: Sample | None = None, *, seconds: float = 20.0) -> Sample:
        """Wait until nothing changes any more, or all is within a bound; give what is held then."""
        give_up_at = time.monotonic() + seconds
        known = await self.sample()
        while True:
            await asyncio.sleep(1.0)
            found = await self.sample()
            settled = _counts(found) == _counts(known) if bound is None else not grown(bound, found)
            if settled or time.monotonic() > give_up_at:
                return found
            known = found

    @asynccontextmanager
    async def watching(self, every: float = 1.0) -> AsyncIterator[None]:
        """Sample again and again within the block."""
        watching = asyncio.create_task(self._watch(every))
        try:
            yield
        finally:
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching

    async def _watch(self, every: float) -> None:
        while True:
            await self.sample()
            await asyncio.sleep(every)

    def _held(self) -> Iterator[tuple[float, int, int]]:
        """Give each process's memory, threads and files; one that ends meanwhile holds nothing."""
        for each in [self.server, *self.server.children(recursive=True)]:
            with contextlib.suppress(psutil.NoSuchProcess), each.oneshot():
                yield each.memory_info().rss / MEGABYTE, each.num_threads(), each.num_fds()

    async def _connections(self) -> int:
        if self.database is None:
            return 0
        count: int = await self.database.fetchval(
            "select count(*) from pg_stat_activity"
            " where datname = current_database() and pid <> pg_backend_pid()"
        )
        return count


def _counts(sample: Sample) -> tuple[int, int, int]:
    return sample.threads, sample.files, sample.connections


def grown(before: Sample, after: Sample) -> list[str]:
    """Say of what there is more than before."""
    counts = {
        "threads": (before.threads, after.threads),
        "open files": (before.files, after.files),
        "connections of the database": (before.connections, after.connections),
        "processes": (len(before.megabytes), len(after.megabytes)),
    }
    return [
        f"{name}: {was} before, {now} after" for name, (was, now) in counts.items() if now > was
    ]


def slope(samples: Sequence[Sample]) -> float:
    """Say by how many megabytes a minute the processes grow together, by a straight line."""
    times = [sample.at for sample in samples]
    memory = [sum(sample.megabytes) for sample in samples]
    return statistics.linear_regression(times, memory).slope * MINUTE
