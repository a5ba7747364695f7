"""Turns per second of Prosa as it is now beside an earlier commit of it, both in one run."""

import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Final

from benchmarks import turns
from benchmarks.children import ROOT, BenchmarkError
from benchmarks.figures import Ratio
from benchmarks.options import Options
from benchmarks.servers import PROSA, Prosa

AT_LEAST: Final = 0.85
_GIT_SECONDS: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """The rounds of both, and their ratio."""

    commit: str
    found: turns.Outcome
    ratio: Ratio

    def show(self, servers: tuple[Prosa, Prosa]) -> str:
        """Write the table and the ratio below it."""
        return f"{self.found.show(servers)}\n{self.ratio.show()}"


def run(options: Options) -> Iterator[tuple[str, Outcome]]:
    """Measure with a model that answers at once, so that all of the time is Prosa's own."""
    earlier = Prosa(
        name="earlier",
        title=f"Prosa at {options.against}",
        arguments=PROSA.arguments,
        preparation=PROSA.preparation,
        root=_checked_out(options.against, options.scratch),
    )
    servers = (earlier, PROSA)
    found = turns.measure(turns.AT_ONCE, options, servers)
    ratio = Ratio.of(
        f"Prosa / {earlier.title}",
        turns.speeds(found.rounds[PROSA.name]),
        turns.speeds(found.rounds[earlier.name]),
        at_least=AT_LEAST,
    )
    outcome = Outcome(commit=options.against, found=found, ratio=ratio)
    yield outcome.show(servers), outcome


def _checked_out(commit: str, scratch: Path) -> Path:
    """Unpack a commit beside this one, outside the working tree."""
    folder = scratch / "earlier"
    done = subprocess.run(  # noqa: S603 - our own command
        ["git", "archive", "--format=tar", commit, "prosa"],  # noqa: S607 - git from the PATH
        cwd=ROOT,
        capture_output=True,
        timeout=_GIT_SECONDS,
        check=False,
    )
    if done.returncode:
        raise BenchmarkError(
            f"cannot check out {commit}: {done.stderr.decode(errors='replace').strip()}; "
            "a shallow clone does not have it (git fetch --unshallow)"
        )
    with tarfile.open(fileobj=BytesIO(done.stdout)) as archive:
        archive.extractall(folder, filter="data")
    return folder
