"""Opens what says who asks."""

# ruff: noqa: PLC0415 - each technology is imported only where it is configured, by whoever uses it

import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from prosa.application.ports.authenticator import Authenticator
from prosa.bootstrap.moments import now
from prosa.bootstrap.packages import required_packages
from prosa.settings import Settings

if TYPE_CHECKING:
    from prosa.adapters.jwt.token_rules import TokenRules


@asynccontextmanager
async def open_authenticator(settings: Settings) -> AsyncIterator[Authenticator]:
    """Prepare what PROSA_AUTH names; keys are read when the first token comes.

    Raises ConfigurationError.
    """
    if settings.auth == "none":
        from prosa.adapters.in_memory.authenticator import OpenDoor

        yield OpenDoor()
        return
    with required_packages("PROSA_AUTH names jwt", extra="jwt"):
        from prosa.adapters.jwt.authenticator import JwtAuthenticator
        from prosa.adapters.jwt.key_set import KeySet

    keys = KeySet(
        partial(read_key_set, settings), timer=time.monotonic, place=key_set_place(settings)
    )
    async with aclosing(JwtAuthenticator(token_rules(settings), keys, clock=now)) as authenticator:
        yield authenticator


def token_rules(settings: Settings) -> "TokenRules":
    """Say which tokens are good, and what their claims mean."""
    from prosa.adapters.jwt.token_rules import TokenRules

    return TokenRules(
        issuer=settings.jwt_issuer or "",
        client_ids=settings.jwt_client_ids,
        tenant_claim=settings.jwt_tenant_claim,
        role_claim=settings.jwt_role_claim,
        customer_claim=settings.jwt_customer_claim,
    )


def key_set_place(settings: Settings) -> str:
    """Say which setting leads to the issuer's keys, and where."""
    setting = "PROSA_JWKS_URL" if settings.jwks_url else "PROSA_JWT_ISSUER"
    return f"{setting} leads to {settings.key_set_url}"


async def read_key_set(settings: Settings) -> bytes:
    """Read the issuer's keys from where they are. Raises KeysUnavailable."""
    from prosa.adapters.jwt.key_source import read_address, read_file

    url = settings.key_set_url
    if url.startswith("file:"):
        return await read_file(Path(url.removeprefix("file:")))
    return await read_address(url)
