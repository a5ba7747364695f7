"""An issuer's public keys by their ids: kept, and read again in the background, but rarely."""

import asyncio
import logging
import math
from collections.abc import Awaitable, Callable, Mapping

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from prosa.application.ports.authenticator import KeysUnavailable

logger = logging.getLogger(__name__)

ALGORITHMS = ("RS256", "ES256")
"""Asymmetric ones only: with the others, whoever can check a token can also make one."""

LIFETIME_SECONDS = 600.0
"""How long keys are used before they are read again, in the background."""

LAST_RESORT_SECONDS = 86_400.0
"""How old keys may become while they cannot be read again."""

PAUSE_SECONDS = 30.0
"""From one reading to the next, whatever unknown keys tokens name meanwhile."""

PAUSE_WITHOUT_KEYS_SECONDS = 1.0
"""The same while there is no key at all."""

ReadKeys = Callable[[], Awaitable[bytes]]
"""Reads a JSON Web Key Set (RFC 7517). Raises KeysUnavailable."""

Keys = Mapping[str, jwt.PyJWK]


class KeySet:
    """The keys of one issuer.

    There is one reading at a time, however many ask. While keys cannot be read, the ones that were
    read last serve for up to a day: by then the tokens that they are good for have expired.
    """

    def __init__(
        self, read: ReadKeys, *, timer: Callable[[], float], place: str = "the issuer's keys"
    ) -> None:
        """`timer` gives seconds that only grow; `place` says where `read` reads."""
        self._place = place
        self._read_keys = read
        self._timer = timer
        self._keys: Keys = {}
        self._read_at = -math.inf
        self._not_before = -math.inf
        self._reading: asyncio.Task[None] | None = None

    def current(self) -> Keys:
        """Give the keys that are known now: another object after each reading, none when too old.

        Has them read again where it is time.
        """
        age = self._timer() - self._read_at
        if age < LIFETIME_SECONDS:
            return self._keys
        self._begin_reading()
        return self._keys if age < LAST_RESORT_SECONDS else {}

    async def find(self, key_id: str) -> jwt.PyJWK | None:
        """Find a key; keys are read first where it is unknown, unless they just were.

        Raises KeysUnavailable where no key at all is known.
        """
        if key_id not in self.current():
            reading = self._begin_reading()
            if reading is not None:
                await asyncio.wait([reading])  # who gives up does not end it for the others
        keys = self.current()
        if not keys:
            raise KeysUnavailable("the keys that tokens are checked with could not be read")
        return keys.get(key_id)

    async def close(self) -> None:
        """Break off a reading."""
        if self._reading is not None:
            self._reading.cancel()
            await asyncio.wait([self._reading])

    def _begin_reading(self) -> asyncio.Task[None] | None:
        """Begin a reading, or join the one that runs; not where it is too early for one."""
        if self._reading is None and self._timer() >= self._not_before:
            self._not_before = self._timer() + PAUSE_SECONDS
            self._reading = asyncio.create_task(self._read())
        return self._reading

    async def _read(self) -> None:
        try:
            self._keys = usable_keys(await self._read_keys(), place=self._place)
            self._read_at = self._timer()
        except KeysUnavailable as error:
            if not self._keys:
                self._not_before = self._timer() + PAUSE_WITHOUT_KEYS_SECONDS
            logger.warning("%s", error)
        finally:
            self._reading = None


def usable_keys(document: bytes, *, place: str) -> Keys:
    """Take the keys that can verify tokens out of a key set, of that place.

    Raises KeysUnavailable.
    """
    try:
        found = jwt.PyJWKSet.from_json(document.decode()).keys
    except (jwt.PyJWTError, ValueError, TypeError, AttributeError, RecursionError) as error:
        raise KeysUnavailable(
            f"{place}: what is there is no JSON Web Key Set that can be used "
            f"({type(error).__name__})"
        ) from error
    keys = {key.key_id: key for key in found if key.key_id and _verifies(key)}
    if not keys:
        raise KeysUnavailable(
            f"{place}: the key set has no key with an id for {' or '.join(ALGORITHMS)}"
        )
    return keys


def _verifies(key: jwt.PyJWK) -> bool:
    return (
        key.algorithm_name in ALGORITHMS
        and key.public_key_use in (None, "sig")
        and isinstance(key.key, RSAPublicKey | EllipticCurvePublicKey)
    )
