"""Settings that refer to secrets of AWS, and a bus of AWS: what is built of them."""

import json
from collections.abc import AsyncIterator

import pytest
from pydantic import SecretStr

from embedded_aws.loopback_server import LoopbackServer
from embedded_aws.moto_server import own_client
from prosa.adapters.eventbridge.event_bus import EventBridgeEventBus
from prosa.application.ports.language_model import ModelMisconfigured, ModelUnavailable
from prosa.application.ports.secret_store import Secret, SecretUnavailable, SecretUnreadable
from prosa.bootstrap.events import open_event_bus
from prosa.bootstrap.models import open_models
from prosa.domain.errors import ConfigurationError, PortFailure
from prosa.settings import ModelName, Settings
from prosa.testing.language_model_contract import model_request
from tests.adapters.openai.provider import running_provider
from tests.aws import point_at

OPENAI = (ModelName(adapter="openai", model="gpt-4o-mini"),)


def kept(name: str, secret: str) -> None:
    with own_client("secretsmanager") as client:
        client.create_secret(Name=name, SecretString=secret)


@pytest.fixture
async def provider() -> AsyncIterator[LoopbackServer]:
    async with running_provider() as provider:
        yield provider


def openai(provider: LoopbackServer, key: str) -> Settings:
    return Settings(models=OPENAI, openai_base_url=provider.url, openai_api_key=SecretStr(key))


@pytest.mark.usefixtures("aws")
class TestAnApiKey:
    async def test_it_may_refer_to_a_secret(self, provider: LoopbackServer) -> None:
        kept("prod/openai", json.dumps({"key": "sk-xyzzy"}))
        settings = openai(provider, "secretsmanager:prod/openai#key")
        async with open_models(settings) as (model,):
            await model.generate(model_request())
        assert provider.requests[0].headers["authorization"] == "Bearer sk-xyzzy"

    async def test_what_it_refers_to_has_to_be_there_at_the_start(
        self, provider: LoopbackServer
    ) -> None:
        settings = openai(provider, "ssm:/nowhere")
        with pytest.raises(ConfigurationError, match="OPENAI_API_KEY: cannot read ssm:/nowhere"):
            async with open_models(settings):
                pass

    async def test_a_store_that_is_away_at_the_start_may_come_later(
        self,
        provider: LoopbackServer,
        monkeypatch: pytest.MonkeyPatch,
        caplog: pytest.LogCaptureFixture,
    ) -> None:
        point_at("http://127.0.0.1:1", monkeypatch)
        async with open_models(openai(provider, "ssm:/key")) as (model,):
            with pytest.raises(ModelUnavailable, match=r"the API key of .*ssm:/key"):
                await model.generate(model_request())
        assert "starting without OPENAI_API_KEY: cannot read ssm:/key" in caplog.text


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (SecretUnavailable("cannot read ssm:/key"), ModelUnavailable),
        (SecretUnreadable("cannot read ssm:/key"), ModelMisconfigured),
    ],
)
async def test_a_key_that_cannot_be_read_is_a_failure_of_the_model(
    provider: LoopbackServer, failure: PortFailure, kind: type[Exception]
) -> None:
    from prosa.adapters.openai.language_model import OpenAILanguageModel  # noqa: PLC0415 - slow
    from prosa.bootstrap.moments import now  # noqa: PLC0415 - as above

    async def api_key() -> str:
        raise failure

    model = OpenAILanguageModel(
        model="m",
        context_tokens=1000,
        clock=now,
        api_key=Secret(read=api_key),
        base_url=provider.url,
    )
    with pytest.raises(kind, match="cannot read ssm:/key"):
        await model.generate(model_request())
    await model.aclose()


class TestTheBus:
    @pytest.mark.parametrize(
        ("written", "name"), [("eventbridge", "default"), ("eventbridge:orders", "orders")]
    )
    async def test_a_setting_names_a_bus_of_eventbridge(self, written: str, name: str) -> None:
        async with open_event_bus(Settings(event_bus=written)) as bus:
            assert isinstance(bus, EventBridgeEventBus)
            assert bus._name == name

    def test_a_bus_is_named_and_not_addressed_so_that_it_can_be_looked_for(self) -> None:
        """EventBridge drops silently what is for a bus of another account that is not there."""
        arn = "arn:aws:events:eu-west-1:210987654321:event-bus/orders"
        words = "PROSA_EVENT_BUS names a bus by its ARN; write the name of one in this account"
        with pytest.raises(ConfigurationError, match=words):
            Settings(event_bus=f"eventbridge:{arn}")

    @pytest.mark.parametrize("written", ["eventbridge:", "log:x", "kafka"])
    def test_any_other_words_are_refused(self, written: str) -> None:
        with pytest.raises(ConfigurationError, match="PROSA_EVENT_BUS"):
            Settings(event_bus=written)
