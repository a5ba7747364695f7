"""Authenticators that know callers by heart, or do not ask."""

from collections.abc import Mapping

from prosa.application.ports.authenticator import Authenticator
from prosa.domain.caller import Caller
from prosa.domain.errors import TokenMissing, TokenRefused
from prosa.domain.identifiers import DEFAULT_TENANT

ANYBODY = Caller(tenant_id=DEFAULT_TENANT, name="")


class OpenDoor(Authenticator):
    """Lets everybody in, as the same caller: `PROSA_AUTH=none`."""

    async def caller_of(self, _token: str | None) -> Caller:
        """Ask nothing."""
        return ANYBODY


class InMemoryAuthenticator(Authenticator):
    """Knows each caller by a token."""

    def __init__(self, callers: Mapping[str, Caller]) -> None:
        self._callers = callers

    async def caller_of(self, token: str | None) -> Caller:
        """Look it up."""
        if token is None:
            raise TokenMissing
        if token not in self._callers:
            raise TokenRefused("the token is unknown")
        return self._callers[token]
