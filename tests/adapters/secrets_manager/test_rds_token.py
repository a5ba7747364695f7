"""Tokens for Postgres on RDS: the same that AWS's own SDK signs, and refused in whole sentences."""

from urllib.parse import parse_qs, urlsplit

import pytest
from boto3.session import Session

from prosa.adapters.secrets_manager.rds_token import SECONDS, rds_token
from prosa.adapters.secrets_manager.secret_store import AwsSecretStore
from prosa.application.ports.secret_store import SecretUnreadable
from prosa.settings import is_reference

HOST = "prosa.proxy-abc.eu-west-1.rds.amazonaws.com"
PLACE = f"prosa_app@{HOST}:5432"
OF_THE_MOMENT = {"X-Amz-Date", "X-Amz-Signature"}


@pytest.fixture(autouse=True)
def credentials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "session")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")


def asked(token: str) -> dict[str, list[str]]:
    """Read what a token asks for; two of the same instant have the same signature, too."""
    return parse_qs(urlsplit(f"https://{token}").query)


def test_a_token_is_the_one_that_the_sdk_would_sign() -> None:
    theirs = Session().client("rds").generate_db_auth_token(HOST, 5432, "prosa_app")
    while (ours := asked(rds_token(PLACE)))["X-Amz-Date"] != asked(theirs)["X-Amz-Date"]:
        theirs = Session().client("rds").generate_db_auth_token(HOST, 5432, "prosa_app")
    assert ours == asked(theirs)
    assert rds_token(PLACE).startswith(f"{HOST}:5432/?")


async def test_a_reference_to_it_is_read_like_any_secret() -> None:
    store = AwsSecretStore()
    token = await store.get(f"rds:{PLACE}")
    store.close()
    assert is_reference(f"rds:{PLACE}")
    assert asked(token)["X-Amz-Expires"] == [str(SECONDS)]


@pytest.mark.parametrize(
    "place", ["", "prosa_app", f"@{HOST}:5432", "prosa_app@:5432", "a@b", "a@b:c"]
)
def test_half_a_place_is_refused_with_how_to_write_one(place: str) -> None:
    with pytest.raises(SecretUnreadable, match="write rds:USER@HOST:PORT"):
        rds_token(place)


def test_without_a_region_nothing_is_signed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    with pytest.raises(SecretUnreadable, match="credentials and a region"):
        rds_token(PLACE)
