"""Reads TOML files into checked values, and says in words what is wrong with them."""

import tomllib
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from prosa.domain.errors import ConfigurationError


class Section(BaseModel):
    """A table of a file; a key that it does not know is a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True)


SectionT = TypeVar("SectionT", bound=Section)


def read_toml(path: Path, shape: type[SectionT]) -> SectionT:
    """Read a file. Raises ConfigurationError, which names the file and each mistake's place."""
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"cannot read {path}: {error}") from error
    try:
        return shape.model_validate(content)
    except ValidationError as error:
        mistakes = "; ".join(
            f"{_place(mistake['loc'], content)}: {mistake['msg']}" for mistake in error.errors()
        )
        raise ConfigurationError(f"{path} is wrong at {mistakes}") from error


def _place(location: tuple[int | str, ...], content: dict[str, Any]) -> str:
    """Say where a mistake is; an item of a list is called by its name, or by its place from 1."""
    match location:
        case (str(table), int(index), *keys):
            item = content[table][index]
            name = item.get("name", index + 1) if isinstance(item, dict) else index + 1
            return " ".join(map(str, (table, name, *keys)))
        case _:
            return ".".join(map(str, location))
