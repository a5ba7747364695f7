"""Row 35 of the fault matrix: an issuer that is away, slow, wrong, or has new keys."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest

from prosa.adapters.jwt.key_set import LIFETIME_SECONDS, PAUSE_SECONDS
from prosa.adapters.jwt.key_source import READ_SECONDS
from tests.entrypoints.http.serving import parts_with, served
from tests.identity import Issuer, bearer, ok, rsa_key, running_issuer, segment
from tests.waiting import until_idle

CONVERSATIONS = "/v1/conversations"
AWAY = b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n"
HANGS = b""

MOODS = {"away": AWAY, "nonsense": ok(b"<html>"), "without a key": ok(b'{"keys": []}')}


class Time:
    """Seconds that a test moves on."""

    def __init__(self) -> None:
        self.seconds = 1_000.0

    def __call__(self) -> float:
        return self.seconds


@pytest.fixture
def time() -> Time:
    return Time()


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with running_issuer() as issuer:
        yield issuer


@pytest.fixture
async def client(issuer: Issuer, time: Time) -> AsyncIterator[httpx.AsyncClient]:
    async with issuer.authenticator(timer=time) as authenticator:
        parts = replace(parts_with(), authenticator=authenticator)
        async with served(parts) as client:
            yield client


async def status(client: httpx.AsyncClient, token: str) -> int:
    return (await client.get(CONVERSATIONS, headers=bearer(token))).status_code


async def fetched(issuer: Issuer, times: int) -> None:
    """Wait until the issuer has been asked so often, and its answer has been read."""
    async with asyncio.timeout(5):
        while issuer.fetches < times:
            await issuer.asked.wait()
    await until_idle()


def unknown_key(issuer: Issuer, number: int) -> str:
    header = {"alg": "RS256", "kid": f"random-{number}"}
    return f"{segment(header)}.{segment(issuer.claims())}.c2lnbmF0dXJl"


@pytest.mark.parametrize("mood", MOODS.values(), ids=MOODS)
async def test_while_keys_cannot_be_read_again_the_known_ones_serve(
    client: httpx.AsyncClient, issuer: Issuer, time: Time, mood: bytes
) -> None:
    assert await status(client, issuer.token()) == 200
    issuer.answer = mood
    for number in range(2, 8):
        time.seconds += LIFETIME_SECONDS
        # A token that was not seen before, so that the key itself is needed.
        assert await status(client, issuer.token(jti=str(number))) == 200
        await fetched(issuer, number)
    issuer.answer = None
    time.seconds += LIFETIME_SECONDS
    assert await status(client, issuer.token(jti="back")) == 200


async def test_an_issuer_that_hangs_holds_up_nobody_whose_key_is_known(
    client: httpx.AsyncClient, issuer: Issuer, time: Time
) -> None:
    assert await status(client, issuer.token()) == 200
    issuer.answer = HANGS
    time.seconds += LIFETIME_SECONDS
    async with asyncio.timeout(READ_SECONDS / 3):
        for number in range(20):
            assert await status(client, issuer.token(jti=str(number))) == 200


async def test_a_rotated_key_is_good_at_once_and_a_withdrawn_one_is_not(
    client: httpx.AsyncClient, issuer: Issuer, time: Time
) -> None:
    old = issuer.token()
    assert await status(client, old) == 200
    time.seconds += PAUSE_SECONDS
    issuer.keys["second"] = rsa_key("second")
    assert await status(client, issuer.token(key_id="second")) == 200
    assert await status(client, old) == 200
    del issuer.keys["first"]
    time.seconds += LIFETIME_SECONDS
    assert await status(client, issuer.token(key_id="second")) == 200
    await fetched(issuer, 3)
    assert await status(client, old) == 401  # although it was verified before


async def test_a_thousand_random_keys_fetch_twice_at_most_and_others_are_served_meanwhile(
    client: httpx.AsyncClient, issuer: Issuer, time: Time
) -> None:
    assert await status(client, issuer.token()) == 200
    time.seconds += PAUSE_SECONDS
    tokens = [unknown_key(issuer, number) for number in range(1_000)]
    for start in range(0, 1_000, 100):
        crowd = [status(client, token) for token in tokens[start : start + 100]]
        assert await status(client, issuer.token(jti=str(start))) == 200
        assert set(await asyncio.gather(*crowd)) == {401}
    assert issuer.fetches <= 2


async def test_a_thousand_random_keys_do_not_storm_an_issuer_that_is_away(
    client: httpx.AsyncClient, issuer: Issuer
) -> None:
    issuer.answer = AWAY
    crowd = [status(client, unknown_key(issuer, number)) for number in range(1_000)]
    assert set(await asyncio.gather(*crowd)) == {503}
    assert issuer.fetches <= 2


async def test_a_server_that_starts_while_the_issuer_is_away_recovers_by_itself(
    client: httpx.AsyncClient, issuer: Issuer, time: Time
) -> None:
    issuer.answer = AWAY
    assert await status(client, issuer.token()) == 503
    issuer.answer = None
    time.seconds += 1
    assert await status(client, issuer.token()) == 200
