"""Prompts kept as files: a folder for each prompt, in it a file for each version."""

import re
from pathlib import Path

from prosa.application.ports.prompt_catalog import PromptCatalog
from prosa.domain.errors import ConfigurationError, PromptNotFound
from prosa.domain.identifiers import TenantId
from prosa.domain.prompt import PromptTemplate

SHIPPED_PROMPTS = Path(__file__).parents[2] / "prompts"

_VERSION = re.compile(r"([1-9][0-9]{0,8})\.md")


class FilesPromptCatalog(PromptCatalog):
    """Serves NAME/VERSION.md of a folder to every tenant; the highest version is in force.

    The files are read once, here. Versions are whole numbers from 1; hidden files, and files beside
    the prompts' folders, are left alone.
    """

    def __init__(self, folder: Path | None = None) -> None:
        """Read the prompts of `folder`, or the shipped ones.

        Raises ConfigurationError, which names the file, where one is misnamed, empty or no UTF-8.
        """
        self._folder = folder or SHIPPED_PROMPTS
        self._templates = {
            place.name: _newest(place) for place in _visible(self._folder) if place.is_dir()
        }

    async def get(self, tenant_id: TenantId, name: str) -> PromptTemplate:  # noqa: ARG002 - tenants share the files
        """Get the highest version. Raises PromptNotFound."""
        template = self._templates.get(name)
        if template is None:
            raise PromptNotFound(name, str(self._folder))
        return template


def _visible(folder: Path) -> list[Path]:
    try:
        return sorted(place for place in folder.iterdir() if not place.name.startswith("."))
    except OSError as error:
        raise ConfigurationError(f"cannot read the prompts in {folder}: {error}") from error


def _newest(folder: Path) -> PromptTemplate:
    versions = {_version(file): file for file in _visible(folder)}
    if not versions:
        raise ConfigurationError(f"the prompt {folder} has no version: write {folder / '1.md'}")
    newest = max(versions)
    text = _text(versions[newest])
    return PromptTemplate(name=folder.name, version=str(newest), text=text)


def _version(file: Path) -> int:
    match = _VERSION.fullmatch(file.name)
    if match is None:
        raise ConfigurationError(f"{file} is no version of a prompt: those are 1.md, 2.md, …")
    return int(match[1])


def _text(file: Path) -> str:
    """Read a prompt. Blank lines around it do not count, nor does how the system ends lines."""
    try:
        text = file.read_text(encoding="utf-8-sig").strip()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"cannot read the prompt {file}: {error}") from error
    if not text:
        raise ConfigurationError(f"the prompt {file} is empty")
    return text
