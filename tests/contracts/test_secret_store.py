"""Every secret store keeps the contract."""

from collections.abc import AsyncIterator

import pytest

from embedded_aws.moto_server import own_client
from prosa.adapters.cached.secret_store import LIFETIME_SECONDS, CachedSecretStore
from prosa.adapters.in_memory.secret_store import InMemorySecretStore
from prosa.adapters.secrets_manager.secret_store import AwsSecretStore
from prosa.application.ports.secret_store import SecretStore
from prosa.testing.secret_store_contract import FIRST, SECOND, SecretStoreContract
from tests.aws import point_at


class TestInMemory(SecretStoreContract):
    @pytest.fixture
    def secrets(self) -> SecretStore:
        return InMemorySecretStore({self.reference: FIRST})

    @pytest.fixture
    def broken(self) -> SecretStore:
        secrets = InMemorySecretStore({self.reference: FIRST})
        secrets.available = False
        return secrets

    async def rotate(self, secrets: SecretStore) -> None:
        assert isinstance(secrets, InMemorySecretStore)
        secrets.secrets[self.reference] = SECOND


class TestCached(SecretStoreContract):
    @pytest.fixture
    def kept(self) -> InMemorySecretStore:
        return InMemorySecretStore({self.reference: FIRST})

    @pytest.fixture
    def secrets(self, kept: InMemorySecretStore) -> SecretStore:
        self._kept, self._now = kept, 0.0
        return CachedSecretStore(kept, timer=lambda: self._now)

    @pytest.fixture
    def broken(self, kept: InMemorySecretStore) -> SecretStore:
        kept.available = False
        return CachedSecretStore(kept, timer=lambda: 0.0)

    async def rotate(self, secrets: SecretStore) -> None:
        del secrets
        self._kept.secrets[self.reference] = SECOND
        self._now += LIFETIME_SECONDS


class AwsContract(SecretStoreContract):
    @pytest.fixture
    async def secrets(self) -> AsyncIterator[SecretStore]:
        self.write(FIRST)
        secrets = AwsSecretStore()
        yield secrets
        secrets.close()

    @pytest.fixture
    async def broken(self, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[SecretStore]:
        point_at("http://127.0.0.1:1", monkeypatch)
        secrets = AwsSecretStore()
        yield secrets
        secrets.close()

    async def rotate(self, secrets: SecretStore) -> None:
        del secrets
        self.write(SECOND)

    def write(self, secret: str) -> None:
        raise NotImplementedError


@pytest.mark.usefixtures("aws")
class TestSecretsManager(AwsContract):
    def write(self, secret: str) -> None:
        with own_client("secretsmanager") as client:
            if secret == FIRST:
                client.create_secret(Name="a/secret", SecretString=secret)
            else:
                client.put_secret_value(SecretId="a/secret", SecretString=secret)


@pytest.mark.usefixtures("aws")
class TestParameterStore(AwsContract):
    reference = "ssm:/a/parameter"
    missing = "ssm:/no/parameter"

    def write(self, secret: str) -> None:
        with own_client("ssm") as client:
            client.put_parameter(
                Name="/a/parameter", Value=secret, Type="SecureString", Overwrite=True
            )
