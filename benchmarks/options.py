"""What one run of the benchmarks is asked for."""

from dataclasses import dataclass
from pathlib import Path

from benchmarks.servers import Server


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How long, how often, which servers, and a folder to work in."""

    seconds: float
    warm_up: float
    rounds: int
    servers: tuple[Server, ...]
    against: str
    """The commit that `commits` compares with."""
    scratch: Path
