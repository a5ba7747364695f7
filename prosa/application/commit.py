"""Runs a piece of work in one unit of work and commits it, again where somebody saved first."""

from collections.abc import Awaitable, Callable
from typing import TypeVar

from prosa.application.ports.unit_of_work import UnitOfWork, UnitOfWorkFactory, VersionConflict
from prosa.domain.identifiers import TenantId

T = TypeVar("T")

TRIES = 5
"""Who loses a race usually finds a running turn next; who loses five in a row gives up."""


async def committed(
    units_of_work: UnitOfWorkFactory,
    tenant_id: TenantId,
    work: Callable[[UnitOfWork], Awaitable[T]],
) -> T:
    """Do `work` and commit; after a VersionConflict do all of it again, `TRIES` times at most."""
    for _ in range(TRIES - 1):
        try:
            return await once(units_of_work, tenant_id, work)
        except VersionConflict:
            continue
    return await once(units_of_work, tenant_id, work)


async def once(
    units_of_work: UnitOfWorkFactory,
    tenant_id: TenantId,
    work: Callable[[UnitOfWork], Awaitable[T]],
) -> T:
    """Do `work` and commit it."""
    async with units_of_work(tenant_id) as unit_of_work:
        result = await work(unit_of_work)
        await unit_of_work.commit()
    return result
