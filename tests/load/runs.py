"""Runs a profile of k6 against a server of its own, and says whether it was what it has to be."""

import asyncio
import json
import math
import os
import re
import statistics
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import asyncpg
import orjson
import psutil

from benchmarks import postgres, servers
from tests.load.observing import Observer, Sample, grown, slope

SCRIPT = Path(__file__).with_name("visits.js")
K6 = str(Path(sys.executable).with_name("k6"))
PROFILES = ("smoke", "load", "spike", "soak", "breakpoint")
DATABASES = ("sqlite", "postgres")
WORKERS = 2
MODEL_MILLISECONDS = 50.0

CROSSED = 99
"""How k6 ends where a threshold is crossed: https://grafana.com/docs/k6/latest/using-k6/thresholds/"""
GRACE_SECONDS = 300
MEGABYTES_A_MINUTE = 1.0
"""What memory may grow by in a soak; a leak of a kilobyte a request is many times that."""
FLAT_FROM_SECONDS = 240.0
"""How long a soak has to be for its memory to be judged."""


class LoadError(Exception):
    """A run came to nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Second:
    """One second of a run: how many requests ended in it, and how long they took."""

    at: int
    requests: int
    median: float
    p95: float
    """Milliseconds, as the median."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What came of a profile against a database."""

    profile: str
    database: str
    exit_code: int
    summary: Mapping[str, Any]
    """k6's own: each metric with its figures."""
    seconds: tuple[Second, ...]
    samples: tuple[Sample, ...]
    before: Sample
    after: Sample
    growth: float = field(init=False)
    """Megabytes a minute, in the second half of the run."""

    def __post_init__(self) -> None:
        """Draw the line."""
        late = self.samples[len(self.samples) // 2 :]
        object.__setattr__(self, "growth", slope(late) if len(late) > 1 else math.nan)

    @property
    def faults(self) -> list[str]:
        """Say what is not as it has to be. A breakpoint has to end by its threshold."""
        found = [f"crossed: {name}" for name in self._crossed()]
        if self.exit_code not in {0, CROSSED}:
            found.append(f"k6 ended with {self.exit_code}")
        found += grown(self.before, self.after)
        if self._is_long_soak() and self.growth > MEGABYTES_A_MINUTE:
            found.append(f"memory grows by {self.growth:.2f} MB a minute")
        return found

    @property
    def rate(self) -> float:
        """Give the requests a second; of a breakpoint the most there were, over five seconds."""
        counts = [second.requests for second in self.seconds]
        if self.profile != "breakpoint" or len(counts) < 5:
            return float(self.summary["http_reqs"]["rate"])
        return max(statistics.mean(counts[start : start + 5]) for start in range(len(counts) - 4))

    def _crossed(self) -> list[str]:
        """List thresholds that were crossed: k6 marks them with true."""
        crossed = [
            f"{name} {rule}"
            for name, metric in self.summary.items()
            for rule, is_crossed in metric.get("thresholds", {}).items()
            if is_crossed
        ]
        if self.profile == "breakpoint":
            return [one for one in crossed if not one.startswith("http_req_duration")]
        return crossed

    def _is_long_soak(self) -> bool:
        lasted = self.samples[-1].at - self.samples[0].at
        return self.profile == "soak" and lasted >= FLAT_FROM_SECONDS


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A server under load."""

    name: str
    url: str
    observer: Observer
    scratch: Path


@asynccontextmanager
async def serving(database: str, scratch: Path) -> AsyncIterator[Target]:
    """Run a server on an empty database, with a model on the loopback, within the block."""
    with ExitStack() as stack:
        model = servers.mock_model(scratch, latency_ms=MODEL_MILLISECONDS)
        url, server = f"sqlite+aiosqlite:///{scratch / 'load.sqlite3'}", servers.PROSA
        if database == "postgres":
            cluster = stack.enter_context(postgres.running(scratch))
            url = await asyncio.to_thread(cluster.create, "load")
            workers = ("--workers", str(WORKERS))
            server = replace(server, arguments=(*server.arguments, *workers))
        place = servers.Place(
            scratch=scratch, database_url=url, model_url=stack.enter_context(model)
        )
        if database == "postgres":  # a file is made by its server
            await asyncio.to_thread(server.prepare, place)
        served = stack.enter_context(server.running(place))
        asked = await asyncpg.connect(url) if database == "postgres" else None
        try:
            yield Target(
                name=database,
                url=f"http://127.0.0.1:{served.port}",
                observer=Observer(server=psutil.Process(served.child.pid), database=asked),
                scratch=scratch,
            )
        finally:
            if asked is not None:
                await asked.close()


async def run(target: Target, profile: str, seconds: int) -> Run:
    """Run a profile; `seconds` is how long a soak lasts. Raises LoadError."""
    observer = target.observer
    await k6(target, "warm_up", seconds)
    before = await observer.at_rest()
    first = len(observer.samples)
    async with observer.watching():
        exit_code, summary, points = await k6(target, profile, seconds)
    samples = tuple(observer.samples[first:])
    after = await observer.at_rest(before)
    return Run(
        profile=profile,
        database=target.name,
        exit_code=exit_code,
        summary=summary,
        seconds=tuple(seconds_in(points)),
        samples=samples,
        before=before,
        after=after,
    )


async def k6(target: Target, profile: str, seconds: int) -> tuple[int, dict[str, Any], Path]:
    """Run k6; give how it ended, its summary, and the file with its points. Raises LoadError."""
    run_id = len(target.observer.samples)
    summary = target.scratch / f"{profile}-{run_id}-summary.json"
    points = target.scratch / f"{profile}-{run_id}-points.json"
    variables = {"URL": target.url, "PROFILE": profile, "SECONDS": seconds, "RUN": run_id}
    told: list[str] = [
        part for name, value in variables.items() for part in ("-e", f"{name}={value}")
    ]
    asking = await asyncio.create_subprocess_exec(
        *(K6, "run", "--quiet", "--address", "", *told),
        *("--summary-export", str(summary), "--out", f"json={points}", str(SCRIPT)),
        env={"PATH": os.environ["PATH"], "HOME": str(target.scratch), "K6_NO_USAGE_REPORT": "true"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(seconds + GRACE_SECONDS):
            said, _ = await asking.communicate()
    finally:
        if asking.returncode is None:
            asking.kill()
            await asking.wait()
    if not summary.exists() or asking.returncode is None:
        raise LoadError(f"k6 ended with {asking.returncode}:\n{said.decode()[-3000:]}")
    return asking.returncode, json.loads(summary.read_text())["metrics"], points


def seconds_in(points: Path) -> list[Second]:
    """Read the durations of all requests, second by second, from k6's points."""
    durations: defaultdict[int, list[float]] = defaultdict(list)
    with points.open("rb") as lines:
        for line in lines:
            if b'"metric":"http_req_duration","type":"Point"' in line:
                data = orjson.loads(line)["data"]
                durations[_second(data["time"])].append(data["value"])
    first = min(durations, default=0)
    return [_told(at - first, durations[at]) for at in sorted(durations)]


def _second(moment: str) -> int:
    """Read the second of the day, which is enough to tell seconds apart."""
    hours, minutes, seconds = map(int, re.findall(r"\d+", moment[11:19]))
    return (hours * 60 + minutes) * 60 + seconds


def _told(at: int, durations: Sequence[float]) -> Second:
    ordered = sorted(durations)
    return Second(
        at=at,
        requests=len(ordered),
        median=ordered[len(ordered) // 2],
        p95=ordered[math.ceil(0.95 * len(ordered)) - 1],
    )
