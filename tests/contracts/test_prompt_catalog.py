"""Every prompt catalog keeps the contract."""

from pathlib import Path

import pytest

from prosa.adapters.files.prompt_catalog import FilesPromptCatalog
from prosa.adapters.in_memory.prompt_catalog import InMemoryPromptCatalog
from prosa.application.ports.prompt_catalog import PromptCatalog
from prosa.domain.prompt import PromptTemplate
from prosa.testing.prompt_catalog_contract import PromptCatalogContract


class TestInMemory(PromptCatalogContract):
    @pytest.fixture
    def catalog(self) -> PromptCatalog:
        older = PromptTemplate(name=self.prompt.name, version="1", text="Say hello.")
        return InMemoryPromptCatalog([older, self.prompt])


class TestFiles(PromptCatalogContract):
    @pytest.fixture
    def catalog(self, tmp_path: Path) -> PromptCatalog:
        folder = tmp_path / self.prompt.name
        folder.mkdir()
        (folder / "1.md").write_text("Say hello.", encoding="utf-8")
        (folder / "2.md").write_text(f"{self.prompt.text}\n", encoding="utf-8")
        return FilesPromptCatalog(tmp_path)
