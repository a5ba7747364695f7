"""`prosa recover`: what it sees to, what it says, and how it ends."""

import asyncio
import json
import signal
import sqlite3
import subprocess
import time
from contextlib import closing
from pathlib import Path

import pytest

from prosa.application.accept_turn import CustomerMessage
from prosa.bootstrap import bootstrap
from prosa.settings import Settings
from tests.entrypoints.cli.running import SECONDS, CommandLine, Main

NOWHERE = "postgresql+asyncpg://nobody@127.0.0.1:1/nothing"


async def leave_behind(folder: Path, *messages: CustomerMessage) -> None:
    """Accept messages and run no turn, as a process does that crashes; their leases run out."""
    file = folder / "prosa.db"
    async with bootstrap(
        Settings(models="scripted", database_url=f"sqlite+aiosqlite:///{file}")
    ) as app:
        for message in messages:
            await app.take_turn.accept(message)
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        database.execute("update turns set lease_until = '2026-01-01T00:00:00.000000+00:00'")


@pytest.fixture
def crashed(tmp_path: Path) -> Path:
    """Give the folder of a database: for one of its turns somebody waited, for one nobody."""
    asyncio.run(
        leave_behind(
            tmp_path,
            CustomerMessage(text="Oi?"),
            CustomerMessage(text="Olá?", caller_waits=False),
        )
    )
    return tmp_path


def statuses(folder: Path) -> list[tuple[str, int]]:
    with closing(sqlite3.connect(folder / "prosa.db")) as database:
        return database.execute("select status, attempt from turns order by attempt").fetchall()


def test_once_it_sees_to_everything_and_says_to_how_much(main: Main, crashed: Path) -> None:
    ended = main("recover", "--once")
    assert (ended.code, ended.out) == (0, "Crashed turns: 1 run again, 1 failed.\n")
    assert statuses(crashed) == [("failed", 1), ("completed", 2)]
    again = main("recover", "--once")
    assert (again.code, again.out) == (0, "No turn had crashed.\n")


@pytest.mark.usefixtures("crashed")
def test_it_tells_programs_the_same(main: Main) -> None:
    ended = main("recover", "--once", "--json")
    assert json.loads(ended.out) == {"run_again": 1, "failed": 1, "failed_again": 0}


@pytest.mark.usefixtures("crashed")
def test_a_turn_that_fails_again_is_told(main: Main, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROSA_MODELS", "openai:gone")
    monkeypatch.setenv("PROSA_OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    ended = main("recover", "--once")
    assert ended.out == "Crashed turns: 1 run again (of which 1 failed again), 1 failed.\n"


def test_a_database_that_is_away_ends_it_with_a_sentence(
    main: Main, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROSA_DATABASE_URL", NOWHERE)
    ended = main("recover", "--once")
    assert ended.code == 1
    place = "Postgres at 127.0.0.1:1, database nothing"
    assert f"prosa: {place}: the database cannot be reached" in ended.err


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_goes_on_until_it_is_told_to_end(
    prosa: CommandLine, crashed: Path, number: signal.Signals
) -> None:
    with prosa.started("recover") as program:
        line_with(program, "Recovering turns of the SQLite file prosa.db; Ctrl-C ends it.")
        wait_until_logged(program, "had crashed and is run again", "had crashed and is failed")
        wait_until_recovered(crashed)
        program.send_signal(number)
        out, err = program.communicate(timeout=SECONDS)
    assert (program.returncode, out) == (0, "Crashed turns: 1 run again, 1 failed.\n")
    assert "Traceback" not in err


def test_while_the_database_is_away_it_says_so_and_goes_on(prosa: CommandLine) -> None:
    with prosa.started("recover", PROSA_DATABASE_URL=NOWHERE) as program:
        assert program.stderr is not None
        for line in program.stderr:
            if "recovering turns failed, and is tried again" in line:
                break
        assert program.poll() is None
        program.send_signal(signal.SIGTERM)
        assert program.wait(SECONDS) == 0


def line_with(program: "subprocess.Popen[str]", text: str) -> None:
    assert program.stdout is not None
    assert program.stdout.readline().strip() == text


def wait_until_logged(program: "subprocess.Popen[str]", *texts: str) -> None:
    """Read what it logs until each text has come, in whatever order."""
    assert program.stderr is not None
    missing = set(texts)
    for line in program.stderr:
        missing -= {text for text in missing if text in line}
        if not missing:
            return
    raise AssertionError(missing)


def wait_until_recovered(folder: Path) -> None:
    give_up_at = time.monotonic() + SECONDS
    while any(status == "running" for status, _ in statuses(folder)):
        assert time.monotonic() < give_up_at
        time.sleep(0.05)
