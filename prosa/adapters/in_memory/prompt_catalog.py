"""Prompts kept in this process."""

from collections.abc import Iterable

from prosa.application.ports.prompt_catalog import PromptCatalog
from prosa.domain.errors import PromptNotFound
from prosa.domain.identifiers import TenantId
from prosa.domain.prompt import PromptTemplate


class InMemoryPromptCatalog(PromptCatalog):
    """Serves the prompts it was given to every tenant; of one name, the last given."""

    def __init__(self, templates: Iterable[PromptTemplate] = ()) -> None:
        self._templates = {template.name: template for template in templates}

    async def get(self, tenant_id: TenantId, name: str) -> PromptTemplate:  # noqa: ARG002 - tenants share the prompts
        """Get the prompt of this name. Raises PromptNotFound."""
        template = self._templates.get(name)
        if template is None:
            raise PromptNotFound(name, "memory")
        return template
