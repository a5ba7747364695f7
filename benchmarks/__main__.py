"""Runs the benchmarks: `python -m benchmarks [names…]`; see README.md beside this file."""

import argparse
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn, Protocol

import orjson

from benchmarks import (
    cold_start,
    commits,
    fallback,
    history,
    imports,
    machine,
    profile,
    servers,
    telemetry,
    turns,
)
from benchmarks.children import BenchmarkError
from benchmarks.options import Options


class Benchmark(Protocol):
    """Yields each outcome, a dataclass, with its text."""

    def __call__(self, options: Options) -> Iterator[tuple[str, object]]:
        """Measure."""


BENCHMARKS: Final[dict[str, Benchmark]] = {
    "turns": turns.run,
    "telemetry": telemetry.run,
    "commits": commits.run,
    "profile": profile.run,
    "fallback": fallback.run,
    "history": history.run,
    "imports": imports.run,
    "cold_start": cold_start.run,
}


SKELETON: Final = "cf02e8aa"
"""The last commit before turns had leases, retries, fallback and a relay."""


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks", description="Measure what Prosa costs."
    )
    parser.add_argument(
        "names", nargs="*", help=f"which of {', '.join(BENCHMARKS)}; all where none is named"
    )
    parser.add_argument(
        "--rounds", type=_positive, default=3, help="how often each thing is measured (3)"
    )
    parser.add_argument(
        "--seconds", type=float, default=5.0, help="measured seconds of load a round (5)"
    )
    parser.add_argument(
        "--warm-up", type=float, default=1.5, help="seconds of load before them (1.5)"
    )
    parser.add_argument(
        "--servers",
        nargs="+",
        choices=servers.ALL,
        default=[*servers.ALL],
        help="what turns compares",
    )
    parser.add_argument(
        "--against", default=SKELETON, metavar="COMMIT", help="what commits compares with"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write all figures there too")
    arguments = parser.parse_args()
    if unknown := [name for name in arguments.names if name not in BENCHMARKS]:
        parser.error(f"no such benchmark: {', '.join(unknown)}")
    return arguments


def _positive(text: str) -> int:
    if (number := int(text)) < 1:
        raise ValueError
    return number


def _leave(_signal: int, _frame: FrameType | None) -> NoReturn:
    """Leave through every `with`, so that each child is ended."""
    sys.exit(143)


def _measure(arguments: argparse.Namespace, scratch: Path) -> dict[str, object]:
    options = Options(
        seconds=arguments.seconds,
        warm_up=arguments.warm_up,
        rounds=arguments.rounds,
        servers=tuple(servers.ALL[name] for name in dict.fromkeys(arguments.servers)),
        against=arguments.against,
        scratch=scratch,
    )
    outcomes: dict[str, object] = {}
    for name in dict.fromkeys(arguments.names or BENCHMARKS):
        outcomes[name] = found = []
        for text, outcome in BENCHMARKS[name](options):
            print(text, end="\n\n", flush=True)
            found.append(outcome)
    return outcomes


def main() -> int:
    """Measure what was asked for, print it, keep it; 1 if a benchmark could not be done."""
    arguments = _arguments()
    signal.signal(signal.SIGTERM, _leave)
    known = machine.facts()
    print(machine.show(known), end="\n\n", flush=True)
    try:
        with tempfile.TemporaryDirectory(prefix="prosa-bench-") as scratch:
            outcomes = _measure(arguments, Path(scratch))
    except BenchmarkError as error:
        print(f"benchmark failed: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    if arguments.json:
        asked = {name: getattr(arguments, name) for name in ("rounds", "seconds", "warm_up")}
        kept = {"machine": known, "asked": asked, **outcomes}
        how = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS
        arguments.json.write_bytes(orjson.dumps(kept, option=how))
    return 0


if __name__ == "__main__":
    sys.exit(main())
