"""References in the place of settings' values: read at the start, and never repeated."""

import asyncio
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from embedded_aws.moto_server import own_client
from prosa.application.accept_turn import CustomerMessage
from prosa.application.ports.language_model import ModelUnavailable
from prosa.bootstrap import bootstrap
from prosa.bootstrap.secrets import read_settings
from prosa.domain.errors import ConfigurationError
from prosa.domain.identifiers import DEFAULT_TENANT
from prosa.domain.turn import TurnError
from prosa.settings import READ_AGAIN, Settings, variable
from tests.aws import point_at

HUNTER = "hunter2"


def kept(parameters: Mapping[str, str]) -> None:
    """Have the account keep parameters."""
    with own_client("ssm") as ssm:
        for name, value in parameters.items():
            ssm.put_parameter(Name=name, Value=value, Type="SecureString")


def in_file(text: str) -> None:
    """Write a `.env`."""
    Path(".env").write_text(text)


@pytest.mark.usefixtures("aws")
class TestAtTheStart:
    async def test_any_setting_may_refer_to_its_value_wherever_it_is_written(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        kept(
            {
                "/url": "postgresql+asyncpg://u@h/db",
                "/models": "openai:a, local",
                "/seconds": "9",
                "/bus": "eventbridge:orders",
            }
        )
        monkeypatch.setenv("PROSA_DATABASE_URL", "ssm:/url")
        monkeypatch.setenv("PROSA_DEADLINE_SECONDS", "ssm:/seconds")
        in_file("PROSA_MODELS=ssm:/models\nPROSA_EVENT_BUS=ssm:/nowhere\n")
        settings = read_settings(event_bus="ssm:/bus")
        assert settings.database_url == "postgresql+asyncpg://u@h/db"
        assert [str(name) for name in settings.models] == ["openai:a", "local"]
        assert settings.deadline_seconds == 9
        assert settings.event_bus == "eventbridge:orders"

    def test_an_application_that_is_given_no_settings_follows_references(
        self, monkeypatch: pytest.MonkeyPatch, sqlite_url: str
    ) -> None:
        kept({"/url": sqlite_url})
        monkeypatch.setenv("PROSA_DATABASE_URL", "ssm:/url")
        monkeypatch.setenv("PROSA_MODELS", "scripted")

        async def opened() -> str:
            async with bootstrap() as app:
                return app.settings.database_url

        assert asyncio.run(opened()) == sqlite_url

    def test_what_is_not_there_is_said_with_setting_and_reference(self) -> None:
        with pytest.raises(ConfigurationError, match="PROSA_JWT_ISSUER: cannot read ssm:/nowhere"):
            read_settings(jwt_issuer="ssm:/nowhere")

    def test_a_store_that_is_away_is_said_with_setting_and_reference(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        point_at("http://127.0.0.1:1", monkeypatch)
        words = "PROSA_EVENT_BUS: cannot read ssm:/bus: AWS cannot be reached"
        with pytest.raises(ConfigurationError, match=words):
            read_settings(event_bus="ssm:/bus")

    def test_rules_about_several_settings_do_not_show_it_either(self) -> None:
        kept({"/url": f"http://u:{HUNTER}@login.example.com"})
        with pytest.raises(ConfigurationError) as refused:
            read_settings(
                environment="staging", auth="jwt", jwt_client_ids="web", jwt_issuer="ssm:/url"
            )
        assert HUNTER not in str(refused.value)


@pytest.mark.usefixtures("aws")
@pytest.mark.parametrize(
    "name",
    [
        "cors_origins",
        "database_url",
        "deadline_seconds",
        "docs",
        "environment",
        "event_bus",
        "inbound_queue",
        "jwks_url",
        "jwt_issuer",
        "local_model",
        "models",
        "turn_runner",
    ],
)
def test_what_is_no_value_for_the_setting_is_said_and_not_shown(name: str) -> None:
    kept({"/x": HUNTER})
    with pytest.raises(ConfigurationError) as refused:
        read_settings(**{name: "ssm:/x"})
    assert str(refused.value) == (
        f"{variable(name)} refers to ssm:/x, and what is there is no value for it"
    )


@pytest.mark.parametrize("reference", ["ssm:/x", "secretsmanager:prod/x#key"])
def test_settings_that_nobody_read_the_references_of_are_refused(reference: str) -> None:
    for name in Settings.model_fields.keys() - READ_AGAIN:
        words = f"{variable(name)} refers to {reference}: prosa.read_settings makes such settings"
        with pytest.raises(ConfigurationError, match=re.escape(words)):
            Settings(**{name: reference})


def test_secrets_stay_references_until_they_are_used() -> None:
    settings = read_settings(
        openai_api_key="ssm:/key",
        database_password="ssm:/password",  # noqa: S106 - where it is, and not what it is
        database_url="postgresql+asyncpg://u@h/db",
    )
    for secret in (settings.openai_api_key, settings.database_password):
        assert secret is not None
        assert secret.get_secret_value().startswith("ssm:/")
        assert "ssm:" not in repr(secret)


def test_no_message_shows_a_password() -> None:
    with pytest.raises(ConfigurationError) as refused:
        read_settings(database_password=[HUNTER])
    assert HUNTER not in str(refused.value)
    with pytest.raises(ConfigurationError, match="PROSA_DATABASE_PASSWORD is set, but") as refused:
        read_settings(database_password=HUNTER)
    assert HUNTER not in str(refused.value)


class TestWhileTheKeyOfAModelCannotBeRead:
    """As a turn sees it, whose model has a key in a store that is away."""

    def settings(self, sqlite_url: str, models: str) -> Settings:
        return Settings(models=models, database_url=sqlite_url, openai_api_key="ssm:/key")

    async def test_the_next_model_answers(
        self, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        point_at("http://127.0.0.1:1", monkeypatch)
        async with bootstrap(self.settings(sqlite_url, "openai:a,scripted")) as app:
            outcome = await app.take_turn(CustomerMessage(text="Oi"))
        assert outcome.turn.reply is not None
        assert outcome.turn.reply.provenance is not None
        assert outcome.turn.reply.provenance.provider == "scripted"

    async def test_without_another_model_the_turn_fails_as_with_a_model_that_is_away(
        self, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        point_at("http://127.0.0.1:1", monkeypatch)
        async with bootstrap(self.settings(sqlite_url, "openai:a")) as app:
            accepted = await app.take_turn.accept(CustomerMessage(text="Oi"))
            assert accepted.attempt is not None
            with pytest.raises(ModelUnavailable, match="the API key of openai:a: cannot read ssm"):
                await app.take_turn.run(accepted.attempt)
            turn = await app.conversations.get_turn(DEFAULT_TENANT, accepted.turn.id)
        assert turn.error == TurnError(code="model_unavailable", retryable=True)
