"""What every prompt catalog promises.

Subclass the contract in a test module and give a fixture `catalog`, in which the prompt `prompt` is
in force.
"""

import hashlib

import pytest

from prosa.application.ports.prompt_catalog import PromptCatalog
from prosa.domain.errors import PromptNotFound
from prosa.domain.identifiers import DEFAULT_TENANT
from prosa.domain.prompt import PromptTemplate


class PromptCatalogContract:
    """The clauses. Subclasses give the fixture `catalog`."""

    prompt = PromptTemplate(name="greet", version="2", text="Greet {{ who }} with „Olá!“")
    """A prompt that the catalog has."""

    async def test_a_prompt_is_got_by_its_name(self, catalog: PromptCatalog) -> None:
        """With the version that is in force."""
        assert await catalog.get(DEFAULT_TENANT, self.prompt.name) == self.prompt

    async def test_a_prompt_is_told_by_the_digest_of_its_text(self, catalog: PromptCatalog) -> None:
        """What a reply keeps of it identifies the very text."""
        got = await catalog.get(DEFAULT_TENANT, self.prompt.name)
        assert got.reference.name == self.prompt.name
        assert got.reference.version == self.prompt.version
        assert got.reference.digest == hashlib.sha256(got.text.encode()).hexdigest()

    @pytest.mark.parametrize("name", ["unknown", "", ".", "..", "../greet", "greet/2", "GREET "])
    async def test_any_other_name_is_not_found(self, catalog: PromptCatalog, name: str) -> None:
        """A name is no path."""
        with pytest.raises(PromptNotFound):
            await catalog.get(DEFAULT_TENANT, name)
