"""Reads the Dockerfile, stage by stage, and the commands that containers run."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import typer

from prosa.entrypoints.cli.commands import app

ROOT = Path(__file__).parents[2]
DOCKERFILE = ROOT / "Dockerfile"
PINNED = re.compile(r"[a-z0-9./-]+/[a-z0-9-]+:[\w.-]+@sha256:[0-9a-f]{64}")
"""An image by its registry, name, tag and digest."""


@dataclass(frozen=True, kw_only=True)
class Instruction:
    """One instruction, its continued lines joined."""

    word: str
    rest: str

    @property
    def words(self) -> list[str]:
        """The list of a command in exec form; a shell would be around any other."""
        found: list[str] = json.loads(self.rest)
        return found


@dataclass(frozen=True, kw_only=True)
class Stage:
    """What is built from an image, or from another stage."""

    name: str
    base: str
    instructions: tuple[Instruction, ...]


@cache
def instructions() -> tuple[Instruction, ...]:
    text = re.sub(r"^\s*#.*\n", "", DOCKERFILE.read_text(encoding="utf-8"), flags=re.MULTILINE)
    lines = re.sub(r"\s*\\\n\s*", " ", text).splitlines()
    split = (line.partition(" ") for line in lines if line.strip())
    return tuple(Instruction(word=word.upper(), rest=rest.strip()) for word, _, rest in split)


def arguments() -> dict[str, str]:
    """Those that images are named by, with their defaults."""
    found = (one.rest.partition("=") for one in instructions() if one.word == "ARG")
    return {name: value for name, _, value in found}


@cache
def stages() -> dict[str, Stage]:
    """All of them by their names; the last one, which has none, is `""`."""
    return {stage.name: stage for stage in _stages()}


def _stages() -> Iterator[Stage]:
    begins = [number for number, one in enumerate(instructions()) if one.word == "FROM"]
    for begin, end in zip(begins, [*begins[1:], None], strict=True):
        base, _, name = instructions()[begin].rest.partition(" AS ")
        yield Stage(name=name, base=base, instructions=instructions()[begin + 1 : end])


def built(name: str) -> list[Instruction]:
    """All that makes a stage: what it is built from first."""
    stage = stages()[name]
    before = built(stage.base) if stage.base in stages() else []
    return [*before, *stage.instructions]


def last(word: str, stage: str) -> Instruction:
    """The instruction that holds in the end. Raises IndexError where there is none."""
    return [one for one in built(stage) if one.word == word][-1]


def variables(stage: str) -> dict[str, str]:
    """The environment of what runs."""
    text = " ".join(one.rest for one in built(stage) if one.word == "ENV")
    return dict(pair.split("=", 1) for pair in text.split())


def read_command(command: list[str]) -> None:
    """Have `prosa` read a command, without running it. Raises click's errors."""
    assert command[0] == "prosa"
    commands = typer.main.get_command(app)
    assert isinstance(commands, typer.core.TyperGroup)
    commands.commands[command[1]].make_context(command[1], command[2:])
