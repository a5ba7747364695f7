"""A guardrail: looks at a text on its way in or out and says whether it may pass."""

from dataclasses import dataclass
from typing import ClassVar, Protocol

from prosa.domain.errors import PortFailure
from prosa.domain.identifiers import TenantId
from prosa.domain.verdict import Direction, Verdict


@dataclass(frozen=True, slots=True, kw_only=True)
class Passage:
    """A text on its way: a customer's message, or a reply's sentence as far as it has come."""

    tenant_id: TenantId
    direction: Direction
    text: str


class Guardrail(Protocol):
    """Judges passages."""

    async def screen(self, passage: Passage) -> Verdict:
        """Say whether the passage may pass as it is, redacted, or not at all.

        The verdict on a passage depends on the passage alone. Raises GuardrailError where it
        cannot tell; what cannot be judged does not pass.
        """


class GuardrailError(PortFailure):
    """The guardrail gave no verdict."""

    transient: ClassVar[bool] = True
