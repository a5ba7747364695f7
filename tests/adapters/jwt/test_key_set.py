"""Keys: kept, read again in the background, and never read often."""

import asyncio
import json
from collections.abc import Callable

import pytest

from prosa.adapters.jwt.key_set import (
    LAST_RESORT_SECONDS,
    LIFETIME_SECONDS,
    PAUSE_SECONDS,
    PAUSE_WITHOUT_KEYS_SECONDS,
    KeySet,
    usable_keys,
)
from prosa.application.ports.authenticator import KeysUnavailable
from tests.identity import elliptic_key, public, rsa_key


def key_set(*names: str, **changes: object) -> bytes:
    keys = [{"kid": name, **public(elliptic_key(name)), **changes} for name in names]
    return json.dumps({"keys": keys}).encode()


class World:
    """A key set, what it reads, and its time."""

    def __init__(self, *names: str) -> None:
        self.now = 0.0
        self.document = key_set(*names) if names else b"nothing"
        self.readings = 0
        self.may_answer = asyncio.Event()
        self.may_answer.set()
        self.keys = KeySet(self._read, timer=lambda: self.now)

    async def _read(self) -> bytes:
        self.readings += 1
        await self.may_answer.wait()
        return self.document

    async def knows(self, name: str) -> bool:
        return await self.keys.find(name) is not None


async def settled() -> None:
    """Let what runs in the background end."""
    for _ in range(5):
        await asyncio.sleep(0)


async def test_keys_are_read_when_one_is_first_looked_for() -> None:
    world = World("a", "b")
    assert world.readings == 0
    assert [await world.knows(name) for name in ("a", "b", "c")] == [True, True, False]
    assert world.readings == 1


async def test_those_who_ask_together_wait_for_one_reading() -> None:
    world = World("a")
    assert await asyncio.gather(*(world.knows("a") for _ in range(50))) == [True] * 50
    assert world.readings == 1


async def test_who_gives_up_does_not_end_the_reading_for_the_others() -> None:
    world = World("a")
    world.may_answer.clear()
    impatient, patient = (asyncio.create_task(world.knows("a")) for _ in range(2))
    await settled()
    impatient.cancel()
    await settled()
    world.may_answer.set()
    assert await patient
    assert impatient.cancelled()


async def test_a_new_key_is_found_at_once_and_an_old_one_is_no_longer_believed() -> None:
    world = World("a")
    await world.knows("a")
    world.now += PAUSE_SECONDS
    world.document = key_set("b")
    assert await world.knows("b")
    assert not await world.knows("a")


async def test_unknown_keys_have_them_read_but_rarely() -> None:
    world = World("a")
    for second in range(300):
        world.now = float(second)
        assert not await world.knows(f"unknown {second}")
    assert world.readings == 300 / PAUSE_SECONDS


async def test_keys_are_read_again_in_the_background_when_their_lifetime_is_over() -> None:
    world = World("a")
    await world.knows("a")
    world.document = key_set("a", "b")
    world.may_answer.clear()
    world.now = LIFETIME_SECONDS - 1
    before = world.keys.current()
    await settled()
    assert world.readings == 1
    world.now = LIFETIME_SECONDS
    assert await world.knows("a")  # nobody waits
    await settled()
    assert (world.readings, world.keys.current()) == (2, before)
    world.may_answer.set()
    await settled()
    assert set(world.keys.current()) == {"a", "b"}


async def test_keys_that_cannot_be_read_again_serve_for_a_day() -> None:
    world = World("a")
    await world.knows("a")
    world.document = b"nothing"
    world.now = LAST_RESORT_SECONDS - 1
    assert await world.knows("a")
    await settled()
    world.now = LAST_RESORT_SECONDS + PAUSE_SECONDS
    assert not world.keys.current()
    with pytest.raises(KeysUnavailable):
        await world.knows("a")


async def test_while_they_cannot_be_read_again_it_is_tried_rarely() -> None:
    world = World("a")
    await world.knows("a")
    world.document = b"nothing"
    for second in range(300):
        world.now = LIFETIME_SECONDS + second
        assert await world.knows("a")
        await settled()
    assert world.readings == 1 + 300 / PAUSE_SECONDS


async def test_while_there_is_no_key_it_is_tried_more_often_and_nobody_is_believed() -> None:
    world = World()
    for _ in range(10):
        with pytest.raises(KeysUnavailable):
            await world.knows("a")
    assert world.readings == 1
    world.document = key_set("a")
    world.now = PAUSE_WITHOUT_KEYS_SECONDS
    assert await world.knows("a")


async def test_a_reading_ends_with_the_key_set() -> None:
    world = World("a")
    world.may_answer.clear()
    asking = asyncio.create_task(world.knows("a"))
    await settled()
    await world.keys.close()
    with pytest.raises(KeysUnavailable):
        await asking
    await world.keys.close()


DOCUMENTS: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "no JSON": lambda: b"{",
    "no UTF-8": lambda: b"\xff",
    "a list": lambda: b"[]",
    "a text": lambda: b'"keys"',
    "no keys": lambda: b"{}",
    "an empty list": lambda: b'{"keys": []}',
    "keys that are none": lambda: b'{"keys": [1, null, {}]}',
    "a number of keys": lambda: b'{"keys": 7}',
    "nested without end": lambda: b"[" * 100_000,
    "an algorithm that is a list": lambda: key_set("a", alg=["ES256"]),
    "a symmetric key": lambda: b'{"keys": [{"kid": "a", "kty": "oct", "k": "c2VjcmV0"}]}',
    "a key that encrypts": lambda: key_set("a", use="enc"),
    "a key for another algorithm": lambda: key_set("a", alg="ES384"),
    "a key without an id": lambda: key_set("a", kid=None),
    "a private key": lambda: json.dumps(
        {"keys": [{**private_key(), "kid": "a", "use": "sig"}]}
    ).encode(),
    "a key of nonsense": lambda: key_set("a", x="!"),
}


def private_key() -> dict[str, object]:
    from jwt.algorithms import RSAAlgorithm  # noqa: PLC0415 - only here

    return dict(RSAAlgorithm.to_jwk(rsa_key("a"), as_dict=True))


@pytest.mark.parametrize("document", DOCUMENTS.values(), ids=DOCUMENTS)
def test_a_document_without_a_key_that_can_be_used_is_none(document: Callable[[], bytes]) -> None:
    with pytest.raises(KeysUnavailable):
        usable_keys(document(), place="there")


def test_what_cannot_be_used_is_passed_over() -> None:
    good = json.loads(key_set("a"))["keys"]
    document = json.dumps({"keys": [{"kty": "new"}, *good, {"kty": "oct", "k": "aa", "kid": "b"}]})
    assert set(usable_keys(document.encode(), place="there")) == {"a"}
