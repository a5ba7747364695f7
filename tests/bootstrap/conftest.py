"""Settings of the test alone: nothing of the environment or of a `.env` gets in."""

import os
from pathlib import Path

import pytest


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Clear what the person who runs the tests has set."""
    for name in list(os.environ):
        if name.upper().startswith(("PROSA_", "OPENAI_")):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)
