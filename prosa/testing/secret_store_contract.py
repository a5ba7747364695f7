"""What every secret store promises."""

from abc import abstractmethod

import pytest

from prosa.application.ports.secret_store import SecretStore, SecretUnavailable, SecretUnreadable

FIRST = "correct horse"
SECOND = "battery staple"


class SecretStoreContract:
    """Subclass it with a fixture `secrets` and the method `rotate`.

    A store that can fail gives the fixture `broken` as well.
    """

    reference = "secretsmanager:a/secret"
    """What refers to a secret that is FIRST."""

    missing = "secretsmanager:no/secret"
    """What refers to none."""

    @abstractmethod
    async def rotate(self, secrets: SecretStore) -> None:
        """Make the secret SECOND, and wait until that is to be seen."""

    @pytest.fixture
    def broken(self) -> SecretStore:
        """Make a store that cannot be reached."""
        pytest.skip("this store is always there")

    async def test_a_secret_is_got_by_what_refers_to_it(self, secrets: SecretStore) -> None:
        assert await secrets.get(self.reference) == FIRST
        assert await secrets.get(self.reference) == FIRST

    async def test_a_secret_that_was_rotated_is_seen(self, secrets: SecretStore) -> None:
        assert await secrets.get(self.reference) == FIRST
        await self.rotate(secrets)
        assert await secrets.get(self.reference) == SECOND

    async def test_what_is_not_there_is_named_and_will_not_be_there_later(
        self, secrets: SecretStore
    ) -> None:
        with pytest.raises(SecretUnreadable) as failed:
            await secrets.get(self.missing)
        assert not failed.value.transient
        assert self.missing in str(failed.value)

    async def test_a_store_that_cannot_be_reached_may_be_there_later(
        self, broken: SecretStore
    ) -> None:
        with pytest.raises(SecretUnavailable) as failed:
            await broken.get(self.reference)
        assert failed.value.transient
        assert self.reference in str(failed.value)
