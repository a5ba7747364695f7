"""`prosa relay`: what it publishes, what it says, and how it ends."""

import json
import re
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from tests.entrypoints.cli.running import SECONDS, CommandLine, Main

TOO_LARGE = "its envelope has 200001 bytes, and may have 200000"


@pytest.fixture
def database(main: Main, tmp_path: Path) -> Iterator[sqlite3.Connection]:
    main("migrate")
    with closing(sqlite3.connect(tmp_path / "prosa.db", isolation_level=None)) as database:
        yield database


def store(database: sqlite3.Connection, number: int, envelope: str | None = None) -> str:
    """Put an event into the outbox."""
    envelope = envelope or json.dumps({"id": f"evt_{number}"})
    database.execute(
        "insert into outbox (tenant_id, conversation_id, sequence, event_id, type, envelope,"
        " created_at) values ('acme', 'conv_1', ?, ?, 'conversation.closed.v1', ?, '2026')",
        (number, f"evt_{number}", envelope),
    )
    return envelope


def test_once_it_publishes_everything_and_says_how_much(
    main: Main, database: sqlite3.Connection
) -> None:
    envelopes = [store(database, number) for number in (1, 2, 3)]
    ended = main("relay", "--once")
    assert (ended.code, ended.out) == (0, "Published 3 events.\n")
    assert re.findall(r"INFO prosa\.events: (.*)", ended.err) == envelopes
    again = main("relay", "--once")
    assert (again.code, again.out, again.err) == (0, "No event was due.\n", "")


def test_it_tells_programs_the_same(main: Main, database: sqlite3.Connection) -> None:
    store(database, 1)
    ended = main("relay", "--once", "--json")
    assert json.loads(ended.out) == {"published": 1, "failed": 0, "parked": 0}


def test_what_it_had_to_park_is_an_exit_code_and_an_alarm(
    main: Main, database: sqlite3.Connection
) -> None:
    store(database, 1, "x" * 200_001)
    store(database, 2)
    ended = main("relay", "--once")
    assert ended.code == 1
    assert ended.out == ("Published 1 event. Parked 1 event: the log says why; see --parked.\n")
    assert re.search(rf"ERROR .*: event evt_1 is parked after 0 tries: {TOO_LARGE}\n", ended.err)
    assert "xxx" not in ended.err


def test_parked_events_are_taken_up_again(main: Main, database: sqlite3.Connection) -> None:
    store(database, 1)
    database.execute("update outbox set parked_at = '2026', tries = 12")
    assert main("relay", "--once").out == "No event was due.\n"
    ended = main("relay", "--once", "--parked")
    assert ended.code == 0
    assert ended.out == "1 event parked before: tried again.\nPublished 1 event.\n"


def test_a_database_that_is_away_is_one_sentence(
    main: Main, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROSA_DATABASE_URL", "postgresql+asyncpg://u:hunter2@127.0.0.1:9/shop")
    ended = main("relay", "--once")
    assert ended.code == 1
    assert ended.err.splitlines()[-1].startswith(
        "prosa: Postgres at 127.0.0.1:9, database shop: the database cannot be reached"
    )
    assert "hunter2" not in ended.err


def test_it_needs_no_language_model(
    main: Main, monkeypatch: pytest.MonkeyPatch, database: sqlite3.Connection
) -> None:
    store(database, 1)
    monkeypatch.setenv("PROSA_MODELS", "openai:no-key-is-set")
    assert main("relay", "--once").code == 0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_relays_until_it_is_told_to_stop(
    prosa: CommandLine, database: sqlite3.Connection, number: signal.Signals
) -> None:
    store(database, 1)
    with prosa.started("relay", PYTHONUNBUFFERED="1") as relay:
        assert relay.stdout is not None
        assert relay.stderr is not None
        assert relay.stdout.readline() == (
            "Relaying events of the SQLite file prosa.db to log; Ctrl-C ends it.\n"
        )
        assert "evt_1" in relay.stderr.readline()
        store(database, 2)
        assert "evt_2" in relay.stderr.readline()
        told, logged = stop(relay, number)
    assert (relay.returncode, told, logged) == (0, "Published 2 events.\n", "")


def stop(program: subprocess.Popen[str], number: signal.Signals) -> tuple[str, str]:
    program.send_signal(number)
    return program.communicate(timeout=SECONDS)
