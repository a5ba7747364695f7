"""Reads an intent catalog from a TOML file; intents.toml explains the format."""

from pathlib import Path

from pydantic import Field

from prosa.adapters.rules.toml_file import Section, read_toml
from prosa.domain.errors import ConfigurationError
from prosa.domain.intent import IntentCatalog, IntentDefinition

SHIPPED_INTENTS = Path(__file__).with_name("intents.toml")


class _IntentEntry(Section):
    name: str = Field(pattern="^[a-z][a-z0-9_]*$")
    description: str = Field(min_length=1)
    patterns: tuple[str, ...]


class _File(Section):
    fallback: str
    intents: tuple[_IntentEntry, ...] = Field(min_length=1)


def load_intent_catalog(path: Path = SHIPPED_INTENTS) -> IntentCatalog:
    """Read a catalog. Raises ConfigurationError, which names the file and what is wrong in it."""
    file = read_toml(path, _File)
    definitions = tuple(
        IntentDefinition(name=entry.name, description=entry.description, patterns=entry.patterns)
        for entry in file.intents
    )
    try:
        return IntentCatalog(definitions=definitions, fallback=file.fallback)
    except ConfigurationError as error:
        raise ConfigurationError(f"{path} is wrong: {error}") from error
