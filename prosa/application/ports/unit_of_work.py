"""A unit of work: what is written together, or not at all."""

from types import TracebackType
from typing import ClassVar, Protocol, Self

from prosa.application.ports.conversation_repository import ConversationRepository
from prosa.application.ports.request_log import RequestLog
from prosa.domain.errors import PortFailure
from prosa.domain.identifiers import TenantId


class UnitOfWork(Protocol):
    """What one tenant has written together: `async with units_of_work(tenant_id) as work:`.

    Loads see what is committed. Leaving without `commit` writes nothing.
    """

    @property
    def conversations(self) -> ConversationRepository:
        """The tenant's conversations."""

    @property
    def requests(self) -> RequestLog:
        """The tenant's idempotency keys."""

    async def __aenter__(self) -> Self:
        """Be ready to load and to gather. Raises StorageUnavailable."""

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        """Forget what was not committed."""

    async def commit(self) -> None:
        """Write all that was added and saved, once and together.

        Raises KeyTaken, VersionConflict and StorageUnavailable, where nothing was written, and
        CommitUnknown, where it is not known whether it was.
        """


class UnitOfWorkFactory(Protocol):
    """Makes units of work."""

    def __call__(self, tenant_id: TenantId) -> UnitOfWork:
        """Make one for a tenant."""


class StorageUnavailable(PortFailure):
    """The database could not be reached, or was too busy. Nothing was written."""

    transient: ClassVar[bool] = True


class CommitUnknown(PortFailure):
    """The connection broke while committing: read again to learn what was written."""

    transient: ClassVar[bool] = True


class VersionConflict(PortFailure):
    """Somebody else saved the conversation since it was loaded. Nothing was written."""

    transient: ClassVar[bool] = True
