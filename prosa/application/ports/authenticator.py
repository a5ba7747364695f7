"""Says who a token stands for."""

from typing import ClassVar, Protocol

from prosa.domain.caller import Caller
from prosa.domain.errors import PortFailure


class KeysUnavailable(PortFailure):
    """What tokens are checked with cannot be read: nobody can be told from anybody."""

    transient: ClassVar[bool] = True


class Authenticator(Protocol):
    """Knows callers by their tokens."""

    async def caller_of(self, token: str | None) -> Caller:
        """Say who asks with this token, or without one.

        Raises TokenMissing, TokenRefused, Forbidden where it is a good token of somebody who is no
        caller, and KeysUnavailable.
        """
