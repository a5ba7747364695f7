"""Runs a piece of work in one unit of work and commits it, again where somebody saved first."""

from collections.abc import Awaitable, Callable
from datetime import datetime, timedelta
from typing import TypeVar

from prosa.application.limit import Limit
from prosa.application.ports.unit_of_work import (
    CommitUnknown,
    UnitOfWork,
    UnitOfWorkFactory,
    VersionConflict,
)
from prosa.domain.identifiers import Clock, TenantId

T = TypeVar("T")

TRIES = 5
"""Who loses a race usually finds a running turn next; who loses five in a row gives up."""

SECONDS_PAST_DEADLINE = 0.5
"""What came in time may be stored a little late; that it failed, a little later still."""

SECONDS_TO_STORE = 10.0
"""How long it may take to store what belongs to no turn, and so has no deadline of its own."""


async def committed(
    units_of_work: UnitOfWorkFactory,
    tenant_id: TenantId,
    work: Callable[[UnitOfWork], Awaitable[T]],
    *,
    tries: int = TRIES,
) -> T:
    """Do `work` and commit; after a VersionConflict do all of it again, `tries` times at most."""
    while True:
        tries -= 1
        try:
            async with units_of_work(tenant_id) as unit_of_work:
                result = await work(unit_of_work)
                await unit_of_work.commit()
                return result
        except VersionConflict:
            if tries < 1:
                raise


def storing_by(deadline: datetime, clock: Clock) -> Limit:
    """Bound what waits for a database, which may hang, by a deadline.

    Raises CommitUnknown soon after it: what was to be written may have been, or may be yet.
    """
    remaining = max(0.0, (deadline - clock()).total_seconds())
    return Limit(remaining + SECONDS_PAST_DEADLINE, _unanswered)


def storing(clock: Clock) -> Limit:
    """Bound what belongs to no turn, as `storing_by` does."""
    return storing_by(clock() + timedelta(seconds=SECONDS_TO_STORE), clock)


def _unanswered() -> CommitUnknown:
    return CommitUnknown("the database did not answer by the deadline")
