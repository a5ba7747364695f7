"""Where turns run that do not run in the process that accepted them."""

from dataclasses import dataclass
from typing import ClassVar, Protocol

from prosa.domain.errors import PortFailure
from prosa.domain.identifiers import TenantId, TurnId


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptId:
    """Which attempt: all that is handed on, since what was said stays in the database."""

    tenant_id: TenantId
    turn_id: TurnId
    number: int


class TurnRunner(Protocol):
    """Runs turns elsewhere."""

    async def start(self, attempt: AttemptId) -> None:
        """Have an attempt run: it will be tried once, however often it is started.

        Raises TurnNotStarted, after which it may run all the same: the answer may have got lost.
        """

    async def check(self) -> None:
        """See that it is there and may be used. Raises TurnNotStarted."""


class TurnNotStarted(PortFailure):
    """Nobody took the turn on."""

    transient: ClassVar[bool] = True
