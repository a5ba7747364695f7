"""Where keys are read: within limits, and with every failure told in one way."""

import asyncio
import gzip
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from prosa.adapters.jwt.key_source import MAX_BYTES, read_address, read_file
from prosa.application.ports.authenticator import KeysUnavailable
from tests.identity import Issuer, ok, running_issuer


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with running_issuer() as issuer:
        yield issuer


async def test_what_is_there_is_read(issuer: Issuer) -> None:
    issuer.answer = ok(b"x" * MAX_BYTES)
    assert await read_address(issuer.jwks_url) == b"x" * MAX_BYTES


ANSWERS = {
    "more than there may be": ok(b"x" * (MAX_BYTES + 1)),
    "a compressed answer that grows": ok(
        gzip.compress(b" " * 50_000_000, 9), "Content-Encoding: gzip"
    ),
    "a compressed answer that is none": ok(b"none", "Content-Encoding: gzip"),
    "an error": b"HTTP/1.1 500 No\r\nContent-Length: 0\r\n\r\n",
    "another address": b"HTTP/1.1 302 No\r\nLocation: /other\r\nContent-Length: 0\r\n\r\n",
    "an answer that breaks off": b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n{",
    "no HTTP": b"hello\r\n\r\n",
}


@pytest.mark.parametrize("answer", ANSWERS.values(), ids=ANSWERS)
async def test_what_cannot_be_used_is_not_taken(issuer: Issuer, answer: bytes) -> None:
    issuer.answer = answer
    with pytest.raises(KeysUnavailable, match=issuer.jwks_url):
        await read_address(issuer.jwks_url)


async def test_nobody_waits_for_an_issuer_that_hangs(issuer: Issuer) -> None:
    issuer.answer = b""
    async with asyncio.timeout(5):
        with pytest.raises(KeysUnavailable, match="TimeoutError"):
            await read_address(issuer.jwks_url, within_seconds=0.05)


async def test_an_issuer_that_is_away_is_told() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
    with pytest.raises(KeysUnavailable):
        await read_address(f"http://127.0.0.1:{port}/jwks.json")


async def test_a_file_is_read_and_a_missing_one_says_what_makes_it(tmp_path: Path) -> None:
    file = tmp_path / "jwks.json"
    with pytest.raises(KeysUnavailable, match="`prosa token` makes it"):
        await read_file(file)
    file.write_bytes(b"{}")
    assert await read_file(file) == b"{}"
