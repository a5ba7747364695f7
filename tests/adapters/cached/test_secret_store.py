"""A cached secret: how long it is used, who reads it again, and what happens where nobody can."""

import asyncio
import gc

import pytest

from prosa.adapters.cached.secret_store import (
    DOUBT_SECONDS,
    LAST_RESORT_SECONDS,
    LIFETIME_SECONDS,
    PATIENCE_SECONDS,
    PAUSE_SECONDS,
    CachedSecretStore,
)
from prosa.adapters.in_memory.secret_store import InMemorySecretStore
from prosa.application.ports.secret_store import SecretUnavailable, SecretUnreadable
from prosa.testing.virtual_time import timer

KEY = "ssm:/key"
OTHER = "ssm:/other"


class SlowSecretStore(InMemorySecretStore):
    """Takes its time, too."""

    seconds = 0.01

    async def get(self, reference: str) -> str:
        await asyncio.sleep(self.seconds)
        return await super().get(reference)


@pytest.fixture
def store() -> SlowSecretStore:
    return SlowSecretStore({KEY: "one", OTHER: "another"})


@pytest.fixture
def cached(store: SlowSecretStore) -> CachedSecretStore:
    return CachedSecretStore(store, timer=timer)


class TestLifetime:
    async def test_a_secret_is_read_once_in_its_lifetime(
        self, store: SlowSecretStore, cached: CachedSecretStore
    ) -> None:
        assert await cached.get(KEY) == "one"
        store.secrets[KEY] = "two"
        await asyncio.sleep(LIFETIME_SECONDS - 1)
        assert await cached.get(KEY) == "one"
        assert store.asked == [KEY]

    async def test_a_rotated_secret_is_seen_when_its_lifetime_is_over(
        self, store: SlowSecretStore, cached: CachedSecretStore
    ) -> None:
        await cached.get(KEY)
        store.secrets[KEY] = "two"
        await asyncio.sleep(LIFETIME_SECONDS + 1)
        assert await cached.get(KEY) == "two"

    async def test_references_are_kept_apart(self, cached: CachedSecretStore) -> None:
        assert await cached.get(KEY) == "one"
        assert await cached.get(OTHER) == "another"


class TestTogether:
    async def test_many_who_ask_at_once_cause_one_reading(
        self, store: SlowSecretStore, cached: CachedSecretStore
    ) -> None:
        assert await asyncio.gather(*(cached.get(KEY) for _ in range(50))) == ["one"] * 50
        await asyncio.sleep(LIFETIME_SECONDS + 1)
        assert await asyncio.gather(*(cached.get(KEY) for _ in range(50))) == ["one"] * 50
        assert store.asked == [KEY] * 2

    async def test_who_gives_up_does_not_end_the_reading_for_others(
        self, store: SlowSecretStore, cached: CachedSecretStore
    ) -> None:
        first = asyncio.create_task(cached.get(KEY))
        second = asyncio.create_task(cached.get(KEY))
        await asyncio.sleep(store.seconds / 2)
        first.cancel()
        assert await second == "one"
        assert first.cancelled()

    async def test_a_failure_that_nobody_waited_for_is_not_reported_as_forgotten(
        self, store: SlowSecretStore, cached: CachedSecretStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        await cached.get(KEY)
        store.available, store.seconds = False, PATIENCE_SECONDS / 2
        await asyncio.sleep(LAST_RESORT_SECONDS - store.seconds / 2)
        assert await cached.get(KEY) == "one"
        gc.collect()
        assert caplog.text == ""


class TestWhileTheStoreFails:
    async def test_a_first_reading_that_fails_is_not_remembered(
        self, store: SlowSecretStore, cached: CachedSecretStore
    ) -> None:
        store.available = False
        with pytest.raises(SecretUnavailable):
            await cached.get(KEY)
        store.available = True
        assert await cached.get(KEY) == "one"

    async def test_the_older_secret_is_used_and_the_log_says_so_without_it(
        self, store: SlowSecretStore, cached: CachedSecretStore, caplog: pytest.LogCaptureFixture
    ) -> None:
        await cached.get(KEY)
        store.available = False
        await asyncio.sleep(LIFETIME_SECONDS + 1)
        assert await cached.get(KEY) == "one"
        assert "5 minutes ago: cannot read ssm:/key" in caplog.text
        assert "one" not in caplog.text

    async def test_a_secret_that_is_gone_is_used_on_in_the_same_way(
        self, store: SlowSecretStore, cached: CachedSecretStore
    ) -> None:
        await cached.get(KEY)
        del store.secrets[KEY]
        await asyncio.sleep(LIFETIME_SECONDS + 1)
        assert await cached.get(KEY) == "one"

    async def test_it_is_asked_again_after_a_pause_and_not_each_time(
        self, store: SlowSecretStore, cached: CachedSecretStore
    ) -> None:
        await cached.get(KEY)
        store.available = False
        await asyncio.sleep(LIFETIME_SECONDS + 1)
        for _ in range(10):
            await cached.get(KEY)
        assert store.asked == [KEY] * 2
        store.available, store.secrets[KEY] = True, "two"
        await asyncio.sleep(PAUSE_SECONDS)
        assert await cached.get(KEY) == "two"

    async def test_a_secret_that_is_too_old_is_not_used(
        self, store: SlowSecretStore, cached: CachedSecretStore
    ) -> None:
        await cached.get(KEY)
        store.available = False
        await asyncio.sleep(LAST_RESORT_SECONDS - 1)
        assert await cached.get(KEY) == "one"
        await asyncio.sleep(PAUSE_SECONDS)
        with pytest.raises(SecretUnavailable):
            await cached.get(KEY)
        del store.secrets[KEY]
        store.available = True
        with pytest.raises(SecretUnreadable):
            await cached.get(KEY)

    async def test_a_store_that_hangs_holds_nobody_up_for_long(
        self, store: SlowSecretStore, cached: CachedSecretStore
    ) -> None:
        await cached.get(KEY)
        store.seconds, store.secrets[KEY] = 10.0, "two"
        await asyncio.sleep(LIFETIME_SECONDS + 1)
        before = timer()
        assert await cached.get(KEY) == "one"
        assert timer() - before == pytest.approx(PATIENCE_SECONDS)
        await asyncio.sleep(store.seconds)
        assert await cached.get(KEY) == "two"


class TestDoubt:
    async def test_a_secret_that_was_refused_is_read_again_long_before_its_time(
        self, store: SlowSecretStore, cached: CachedSecretStore
    ) -> None:
        await cached.get(KEY)
        store.secrets[KEY] = "two"
        await asyncio.sleep(DOUBT_SECONDS + 1)
        cached.doubt(KEY)
        assert await cached.get(KEY) == "two"

    async def test_one_that_is_refused_all_the_time_is_not_read_all_the_time(
        self, store: SlowSecretStore, cached: CachedSecretStore
    ) -> None:
        for _ in range(100):
            await cached.get(KEY)
            cached.doubt(KEY)
            await asyncio.sleep(0.1)
        assert len(store.asked) == 2

    async def test_one_that_is_unknown_may_be_doubted(self, cached: CachedSecretStore) -> None:
        cached.doubt(KEY)
        assert await cached.get(KEY) == "one"
