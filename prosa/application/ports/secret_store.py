"""Where secrets are kept that settings only refer to."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import ClassVar, Protocol

from prosa.domain.errors import PortFailure


class SecretStore(Protocol):
    """Secrets by what refers to them."""

    async def get(self, reference: str) -> str:
        """Get the secret that is in force now. Raises SecretUnavailable, SecretUnreadable.

        Messages of both name the reference, and never the secret.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Secret:
    """A secret for whoever uses it: he reads it each time, and doubts it where it was refused.

    Reading raises what a store raises.
    """

    read: Callable[[], Awaitable[str]]
    doubt: Callable[[], None] = lambda: None


class SecretUnavailable(PortFailure):
    """The store cannot be reached, or failed."""

    transient: ClassVar[bool] = True


class SecretUnreadable(PortFailure):
    """The secret is missing, may not be read, or is not what the reference says."""
