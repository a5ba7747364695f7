"""The bugs that are planted, as `bugs.toml` has them."""

import tomllib
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Edit:
    """A piece of a file, which has to be there once, and what takes its place."""

    file: str
    old: str
    new: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bug:
    """A bug: its name, which promise it breaks and how, and the test that has to see it."""

    name: str
    breaks: str
    red: str
    """A test, as pytest names it."""
    edits: tuple[Edit, ...]


def load_bugs() -> tuple[Bug, ...]:
    """Read them."""
    read = tomllib.loads(Path(__file__).with_name("bugs.toml").read_text())
    return tuple(
        Bug(
            name=bug["name"],
            breaks=bug["breaks"],
            red=bug["red"],
            edits=tuple(Edit(**edit) for edit in bug["edits"]),
        )
        for bug in read["bug"]
    )
