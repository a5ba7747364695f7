"""Ways to run the command line: in a process of its own, or in this one."""

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

ROOT = Path(__file__).parents[3]
SECONDS = 30
"""Far more than any command takes, also on a busy machine."""


@dataclass(frozen=True, kw_only=True)
class CommandLine:
    """Runs `prosa` in `folder`, where its database and `.env` are."""

    folder: Path
    variables: dict[str, str] = field(default_factory=lambda: {"PROSA_MODELS": "scripted"})

    def run(
        self, *arguments: str, text: str = "", **variables: str
    ) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            self.command(*arguments),
            capture_output=True,
            check=False,
            cwd=self.folder,
            encoding="utf-8",
            env=self.environment(variables),
            input=text,
            timeout=SECONDS,
        )

    @contextmanager
    def started(self, *arguments: str, **variables: str) -> Iterator[subprocess.Popen[str]]:
        with subprocess.Popen(
            self.command(*arguments),
            cwd=self.folder,
            encoding="utf-8",
            env=self.environment(variables),
            stderr=subprocess.PIPE,
            stdout=subprocess.PIPE,
        ) as program:
            try:
                yield program
            finally:
                program.kill()

    def command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-W", "error", "-m", "prosa", *arguments]

    def environment(self, variables: dict[str, str]) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "PYTHONPATH": str(ROOT),
            "PYTHONUTF8": "1",
            "COLUMNS": "80",
            **self.variables,
            **variables,
        }


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a command ended, and what it printed."""

    code: int
    out: str
    err: str


Main = Callable[..., Ended]
