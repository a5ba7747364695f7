"""The check of real models, tried on a provider that stands in for one."""

import pytest

from tests.faults.provider import FaultyProvider, faulty_provider
from tests.live.__main__ import check, models, take_a_turn

MODEL = "openai:gpt-4o-mini"


def point_at(provider: FaultyProvider, environment: pytest.MonkeyPatch) -> None:
    environment.setenv("PROSA_OPENAI_BASE_URL", f"{provider.url}/v1")
    environment.setenv("OPENAI_API_KEY", "of-nobody")


async def test_a_model_that_answers_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    async with faulty_provider() as provider:
        point_at(provider, monkeypatch)
        await take_a_turn(MODEL)


def test_what_has_no_key_is_passed_over_and_says_so() -> None:
    assert [check(*one) for one in models({})] == [
        (True, "openai:gpt-4o-mini: not asked, there is no OPENAI_API_KEY"),
        (True, "bedrock:…: not asked, there is no LIVE_BEDROCK_MODEL"),
    ]


def test_what_has_keys_is_asked() -> None:
    keys = {"OPENAI_API_KEY": "of-nobody", "LIVE_BEDROCK_MODEL": "amazon.nova-lite-v1:0"}
    assert list(models(keys)) == [(MODEL, None), ("bedrock:amazon.nova-lite-v1:0", None)]


def test_a_provider_that_is_away_fails_and_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROSA_OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "of-nobody")
    passed, line = check(MODEL, None)
    assert not passed
    assert line.startswith(f"{MODEL}: ")
