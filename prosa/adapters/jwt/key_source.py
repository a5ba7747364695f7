"""Where an issuer's key set is read: at its address, or in a file while developing."""

import asyncio
from pathlib import Path

import aiohttp

from prosa.application.ports.authenticator import KeysUnavailable

READ_SECONDS = 3.0
MAX_BYTES = 256 * 1024
CHUNK_BYTES = 16 * 1024
OK = 200

# What a compressed answer would grow to cannot be seen beforehand.
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity"}


async def read_address(url: str, *, within_seconds: float = READ_SECONDS) -> bytes:
    """Fetch what is at an address: in that time, of 256 KiB at most, and there only.

    Raises KeysUnavailable.
    """
    try:
        async with (
            asyncio.timeout(within_seconds),
            # A session each time: keys are read every ten minutes.
            aiohttp.ClientSession(headers=_HEADERS) as session,
            session.get(url, allow_redirects=False) as response,
        ):
            if response.status != OK:
                raise KeysUnavailable(f"{url} answered {response.status}")
            return await _bounded(url, response.content)
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise KeysUnavailable(f"{url} cannot be read: {type(error).__name__}") from error


async def read_file(path: Path) -> bytes:
    """Read a file. Raises KeysUnavailable."""
    try:
        return await asyncio.to_thread(path.read_bytes)
    except OSError as error:
        raise KeysUnavailable(
            f"{path} cannot be read ({error.strerror}): `prosa token` makes it"
        ) from error


async def _bounded(url: str, content: aiohttp.StreamReader) -> bytes:
    body = bytearray()
    async for chunk in content.iter_chunked(CHUNK_BYTES):
        body += chunk
        if len(body) > MAX_BYTES:
            raise KeysUnavailable(f"{url} answered more than {MAX_BYTES} bytes")
    return bytes(body)
