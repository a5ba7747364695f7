"""Who asks: a program of a tenant's, or one of its customers."""

from dataclasses import dataclass

from prosa.domain.errors import Forbidden
from prosa.domain.identifiers import TenantId


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who asks, and what they may reach.

    Without `customer_id` it is a program that acts for any customer of the tenant. With one it is
    that customer, who reaches their own conversations only.
    """

    tenant_id: TenantId
    name: str
    """Idempotency keys of one name do not meet another's."""
    customer_id: str | None = None

    def customer_for(self, asked: str | None) -> str | None:
        """Say for which customer to act: a customer acts for themself.

        Raises Forbidden where a customer asks for another.
        """
        if self.customer_id is None:
            return asked
        if asked not in (None, self.customer_id):
            raise Forbidden("a customer acts for themself: leave customer_id out")
        return self.customer_id
