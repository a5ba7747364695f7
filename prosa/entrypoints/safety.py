"""Keeps the door shut where it would be open to everybody."""

from prosa.domain.errors import ConfigurationError
from prosa.settings import Settings


def require_authentication(settings: Settings, reachable: str | None = None) -> None:
    """Refuse `PROSA_AUTH=none` outside development, and where others can reach the API.

    `reachable` says by what, to end the sentence "PROSA_AUTH=none lets everybody in, …"; None where
    only this machine can. Raises ConfigurationError.
    """
    if settings.auth != "none":
        return
    if settings.environment != "development":
        raise ConfigurationError(
            f"PROSA_AUTH=none lets everybody in: with PROSA_ENVIRONMENT={settings.environment} "
            "the HTTP API is not served; set PROSA_AUTH=jwt"
        )
    if reachable is not None:
        raise ConfigurationError(f"PROSA_AUTH=none lets everybody in, {reachable}")
