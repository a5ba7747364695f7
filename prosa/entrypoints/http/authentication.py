"""Who asks: the one place that says for which tenant, and as which caller, a request acts."""

from dataclasses import dataclass

from fastapi import Request

from prosa.domain.identifiers import DEFAULT_TENANT, TenantId


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """A tenant, and who of it asks; idempotency keys of one `name` do not meet another's."""

    tenant_id: TenantId
    name: str


NOBODY_IN_PARTICULAR = Caller(tenant_id=DEFAULT_TENANT, name="")


def caller_of(_request: Request) -> Caller:
    """Say who asks. With `PROSA_AUTH=none` that is the same for everybody."""
    return NOBODY_IN_PARTICULAR
