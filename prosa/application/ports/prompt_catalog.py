"""Where the prompts are kept."""

from typing import Protocol

from prosa.domain.identifiers import TenantId
from prosa.domain.prompt import PromptTemplate


class PromptCatalog(Protocol):
    """The versioned prompts."""

    async def get(self, tenant_id: TenantId, name: str) -> PromptTemplate:
        """Get the version of a prompt that is in force. Raises PromptNotFound."""
