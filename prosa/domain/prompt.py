"""Prompts: our instructions to a language model, named and versioned."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property

from prosa.domain.errors import ConfigurationError
from prosa.domain.reply import PromptReference

_VARIABLE = re.compile(r"\{\{ *([a-z_]+) *\}\}")


@dataclass(frozen=True, kw_only=True)
class PromptTemplate:
    """A prompt's text with `{{ variable }}` where something is filled in."""

    name: str
    version: str
    text: str

    @cached_property
    def reference(self) -> PromptReference:
        """What a stored reply keeps of the prompt that produced it."""
        digest = hashlib.sha256(self.text.encode()).hexdigest()
        return PromptReference(name=self.name, version=self.version, digest=digest)

    @cached_property
    def variables(self) -> frozenset[str]:
        """The variables that `render` requires."""
        return frozenset(self._cut[1::2])

    def render(self, values: Mapping[str, str]) -> str:
        """Fill in the variables; values that the text does not name are left out.

        Raises ConfigurationError where a variable has no value: a half-filled prompt is never sent.
        """
        if missing := self.variables - values.keys():
            message = (
                f"prompt {self.name!r} version {self.version} asks for "
                f"{', '.join(sorted(missing))}; known are {', '.join(sorted(values))}"
            )
            raise ConfigurationError(message)
        filled = self._cut.copy()
        filled[1::2] = map(values.__getitem__, filled[1::2])
        return "".join(filled)

    @cached_property
    def _cut(self) -> list[str]:
        """The text, cut at its variables: every second one is a variable's name."""
        return _VARIABLE.split(self.text)
