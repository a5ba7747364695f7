"""What a customer wants, and the catalog of what customers may want."""

from dataclasses import dataclass
from functools import cached_property

from prosa.domain.errors import ConfigurationError

CONFIDENCE_DIGITS = 3
"""Classifiers round to so many decimals: more mean nothing, and not every database keeps them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Intent:
    """What a message is about; `confidence` is between 0 and 1, to `CONFIDENCE_DIGITS`."""

    name: str
    confidence: float


@dataclass(frozen=True, slots=True, kw_only=True)
class IntentDefinition:
    """One thing that customers may want, and how to recognise it."""

    name: str
    description: str
    patterns: tuple[str, ...]
    """Words and phrases that speak for it, in each language served, without accents."""


@dataclass(frozen=True, kw_only=True)
class IntentCatalog:
    """All the intents of a tenant. `fallback` names the one for everything else."""

    definitions: tuple[IntentDefinition, ...]
    fallback: str

    def __post_init__(self) -> None:
        """Refuse a catalog whose fallback is missing or whose names repeat."""
        if len(self.names) != len(set(self.names)):
            message = "the intent catalog names an intent twice"
            raise ConfigurationError(message)
        if self.fallback not in self.names:
            message = f"the intent catalog has no intent {self.fallback!r} to fall back on"
            raise ConfigurationError(message)

    @cached_property
    def names(self) -> tuple[str, ...]:
        """The names, in the catalog's order."""
        return tuple(definition.name for definition in self.definitions)
