"""What tests of telemetry share: an environment that says nothing, and settings."""

import os

import pytest

from prosa.settings import Settings
from tests.adapters.opentelemetry.seeing import Seen


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Clear what the person who runs the tests has set."""
    for name in list(os.environ):
        if name.startswith(("OTEL_", "PROSA_")):
            monkeypatch.delenv(name)


@pytest.fixture
def settings(sqlite_url: str) -> Settings:
    return Settings(database_url=sqlite_url, models="scripted", log_level="WARNING")


@pytest.fixture
def seen() -> Seen:
    return Seen()
