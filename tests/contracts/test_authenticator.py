"""Every authenticator that asks for tokens keeps the contract."""

from collections.abc import AsyncIterator

import pytest

from prosa.adapters.in_memory.authenticator import InMemoryAuthenticator
from prosa.application.ports.authenticator import Authenticator
from prosa.domain.caller import Caller
from prosa.domain.identifiers import TenantId
from prosa.testing.authenticator_contract import AuthenticatorContract
from tests.identity import TENANT, Issuer, running_issuer

ANA = Caller(tenant_id=TenantId(TENANT), name="ana", customer_id="ana")


class TestInMemory(AuthenticatorContract):
    @pytest.fixture
    def token(self) -> str:
        return "ana's token"

    @pytest.fixture
    def caller(self) -> Caller:
        return ANA

    @pytest.fixture
    def authenticator(self, token: str) -> Authenticator:
        return InMemoryAuthenticator({token: ANA})


class TestJwt(AuthenticatorContract):
    @pytest.fixture
    async def issuer(self) -> AsyncIterator[Issuer]:
        async with running_issuer() as issuer:
            yield issuer

    @pytest.fixture
    def token(self, issuer: Issuer) -> str:
        return issuer.token()

    @pytest.fixture
    def caller(self) -> Caller:
        return ANA

    @pytest.fixture
    async def authenticator(self, issuer: Issuer) -> AsyncIterator[Authenticator]:
        async with issuer.authenticator() as authenticator:
            yield authenticator
