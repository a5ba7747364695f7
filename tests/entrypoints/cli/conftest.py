"""The command line, in an empty folder and with nothing set but a scripted model."""

import logging
import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from prosa.entrypoints.cli.main import main as command_line
from tests.entrypoints.cli.running import CommandLine, Ended, Main


@pytest.fixture
def prosa(tmp_path: Path) -> CommandLine:
    return CommandLine(folder=tmp_path)


@pytest.fixture
def main(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    tmp_path: Path,
    logging_as_it_was: None,  # noqa: ARG001 - commands set it up anew
) -> Main:
    """Run `prosa` in this process, which is quicker than in one of its own."""
    for name in list(os.environ):
        if name.upper().startswith(("PROSA_", "OPENAI_")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("PROSA_MODELS", "scripted")
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str) -> Ended:
        monkeypatch.setattr(sys, "argv", ["prosa", *arguments])
        with pytest.raises(SystemExit) as exited:
            command_line()
        code, printed = exited.value.code, capsys.readouterr()
        if isinstance(code, str):  # the interpreter would print it
            return Ended(code=1, out=printed.out, err=f"{printed.err}{code}\n")
        return Ended(code=code or 0, out=printed.out, err=printed.err)

    return run


@pytest.fixture
def logging_as_it_was() -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in (None, "prosa")]
    before = [(logger, logger.level, logger.handlers[:]) for logger in loggers]
    yield
    for logger, level, handlers in before:
        logger.setLevel(level)
        logger.handlers[:] = handlers
