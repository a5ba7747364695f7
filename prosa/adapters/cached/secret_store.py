"""Any secret store, asked once in a while instead of each time."""

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from prosa.application.ports.secret_store import SecretStore, SecretUnavailable, SecretUnreadable

logger = logging.getLogger(__name__)

LIFETIME_SECONDS = 300.0
"""How long a secret is used before it is read again."""

LAST_RESORT_SECONDS = 3_600.0
"""How old a secret may become while it cannot be read again."""

PAUSE_SECONDS = 30.0
"""From a reading that failed to the next, while there is an older secret to use."""

PATIENCE_SECONDS = 1.0
"""How long a caller waits for a new reading where there is an older secret to use."""

DOUBT_SECONDS = 5.0
"""How long a secret that was just read is used even where it was refused."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Kept:
    secret: str = field(repr=False)
    read_at: float
    read_again_at: float


class CachedSecretStore(SecretStore):
    """Reads a secret again when its lifetime is over, so that a rotated one needs no restart.

    Of each reference there is one reading at a time, however many ask. While the store fails, the
    secret that was read last is used for up to an hour, and the log says so.
    """

    def __init__(self, secrets: SecretStore, *, timer: Callable[[], float]) -> None:
        """`timer` gives seconds that only grow."""
        self._secrets = secrets
        self._timer = timer
        self._kept: dict[str, _Kept] = {}
        self._readings: dict[str, asyncio.Task[str]] = {}

    async def get(self, reference: str) -> str:
        """Get the secret as it was at most five minutes ago, or an hour if its store fails."""
        kept = self._kept.get(reference)
        if kept and self._timer() < kept.read_again_at:
            return kept.secret
        reading = self._readings.get(reference) or self._begin(reference)
        if kept and self._timer() < kept.read_at + LAST_RESORT_SECONDS:
            await asyncio.wait({reading}, timeout=PATIENCE_SECONDS)
            return self._kept[reference].secret
        # Shielded: who gives up does not end it for the others.
        return await asyncio.shield(reading)

    def doubt(self, reference: str) -> None:
        """Have a secret read again soon: somebody did not accept it."""
        if kept := self._kept.get(reference):
            again_at = min(kept.read_again_at, kept.read_at + DOUBT_SECONDS)
            self._keep(reference, kept.secret, kept.read_at, again_at)

    def _begin(self, reference: str) -> asyncio.Task[str]:
        reading = asyncio.create_task(self._read(reference))
        self._readings[reference] = reading
        reading.add_done_callback(lambda _: self._ended(reference, reading))
        return reading

    def _ended(self, reference: str, reading: asyncio.Task[str]) -> None:
        del self._readings[reference]
        # Looked at here, too: whoever has stopped waiting does not look.
        if not reading.cancelled():
            reading.exception()

    async def _read(self, reference: str) -> str:
        try:
            secret = await self._secrets.get(reference)
        except (SecretUnavailable, SecretUnreadable) as error:
            return self._last_resort(reference, error)
        now = self._timer()
        self._keep(reference, secret, now, now + LIFETIME_SECONDS)
        return secret

    def _last_resort(self, reference: str, error: SecretUnavailable | SecretUnreadable) -> str:
        """Use the older secret for a while, or fail as the reading did."""
        kept, now = self._kept.get(reference), self._timer()
        if kept is None or now >= kept.read_at + LAST_RESORT_SECONDS:
            raise error
        age = (now - kept.read_at) / 60
        logger.warning("using a secret as it was read %.0f minutes ago: %s", age, error)
        self._keep(reference, kept.secret, kept.read_at, now + PAUSE_SECONDS)
        return kept.secret

    def _keep(self, reference: str, secret: str, read_at: float, read_again_at: float) -> None:
        self._kept[reference] = _Kept(secret=secret, read_at=read_at, read_again_at=read_again_at)
