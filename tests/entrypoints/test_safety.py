"""The door is not left open where others could come in."""

import pytest

from prosa.domain.errors import ConfigurationError
from prosa.entrypoints.safety import require_authentication
from prosa.settings import Settings

LAMBDA = "and a Lambda function is reached from anywhere"
GUARDED = {"auth": "jwt", "jwt_issuer": "https://a.example", "jwt_client_ids": "web"}


def test_while_developing_this_machine_may_come_in() -> None:
    require_authentication(Settings())


def test_others_may_not() -> None:
    with pytest.raises(ConfigurationError, match=f"^PROSA_AUTH=none lets everybody in, {LAMBDA}$"):
        require_authentication(Settings(), LAMBDA)


def test_outside_development_nobody_may() -> None:
    with pytest.raises(ConfigurationError, match="PROSA_ENVIRONMENT=staging"):
        require_authentication(Settings(environment="staging"))


def test_who_is_asked_for_a_token_may() -> None:
    require_authentication(Settings(environment="staging", **GUARDED), LAMBDA)
