"""Models in words."""

import os
from pathlib import Path

import pytest

from prosa.entrypoints.cli.in_words import DEMONSTRATION, counted, is_demonstration, model_in_words
from prosa.settings import Settings


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for name in list(os.environ):
        if name.upper().startswith(("PROSA_", "OPENAI_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


def test_a_chain_is_told_in_its_order() -> None:
    settings = Settings(models="openai:gpt-4o-mini,local")
    assert model_in_words(settings) == f"openai:gpt-4o-mini, then local ({DEMONSTRATION})"
    assert not is_demonstration(settings)


def test_where_another_server_is_asked_its_address_is_told_and_no_password() -> None:
    settings = Settings(models="openai:x", openai_base_url="http://u:hunter2@localhost:9/v1")
    assert model_in_words(settings) == "openai:x at localhost:9"


def test_things_are_counted_in_words() -> None:
    assert [counted(count, "key") for count in (0, 1, 2)] == ["0 keys", "1 key", "2 keys"]
