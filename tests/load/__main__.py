"""Puts Prosa under load and writes a page of it: `make load`, or `python -m tests.load --help`.

Exits with 1 where a run is not as it has to be.
"""

import argparse
import asyncio
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from tests.load.report import write
from tests.load.runs import DATABASES, PROFILES, Run, run, serving


def main() -> None:
    """Run what is asked for."""
    parser = argparse.ArgumentParser(prog="python -m tests.load", description=__doc__)
    parser.add_argument("profiles", nargs="*", help=f"which of {', '.join(PROFILES)}; or all")
    parser.add_argument("--databases", nargs="+", choices=DATABASES, default=[*DATABASES])
    parser.add_argument("--seconds", type=int, default=300, help="how long a soak lasts (300)")
    parser.add_argument("--output", type=Path, default=Path("load-results"), help="where to write")
    asked = parser.parse_args()
    if unknown := set(asked.profiles) - set(PROFILES):
        parser.error(f"no such profile: {', '.join(sorted(unknown))}")
    runs = asyncio.run(run_all(asked.databases, asked.profiles or PROFILES, asked.seconds))
    say(f"\n{write(runs, asked.output)}")
    sys.exit(any(each.faults for each in runs))


async def run_all(databases: Sequence[str], profiles: Sequence[str], seconds: int) -> list[Run]:
    """Run each profile against each database, on a server of its own."""
    runs = []
    for database in databases:
        for profile in profiles:
            with tempfile.TemporaryDirectory(prefix="prosa-load-") as scratch:
                async with serving(database, Path(scratch)) as target:
                    runs.append(await run(target, profile, seconds))
            say(in_words(runs[-1]))
    return runs


def in_words(done: Run) -> str:
    """Tell of a run in a line, and of each fault in one more."""
    message = done.summary["http_req_duration{name:message}"]
    line = (
        f"{done.profile:10} {done.database:8} {done.rate:7.0f} requests/s, messages "
        f"{message['med']:.0f} ms, p95 {message['p(95)']:.0f} ms; memory {done.growth:+.2f} MB/min"
    )
    return "\n".join([line, *(f"           {fault}" for fault in done.faults)])


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
