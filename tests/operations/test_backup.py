"""A database that is restored goes on from the moment of its backup: docs/operations.md."""

import asyncio
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path

import asyncpg
import httpx
import pytest

from prosa import CustomerMessage
from prosa.bootstrap import App, bootstrap
from prosa.settings import Settings
from tests.faults.postgres_server import PostgresServer, postgres_server
from tests.faults.promises import published_events
from tests.faults.serving import events_written_to
from tests.operations.asking import read_messages, say, served_without_chores
from tests.operations.backups import back_up, restore
from tests.operations.pages import OPERATIONS, commands, read
from tests.operations.roles import APP, connect, url_of


@pytest.fixture(scope="session")
def other_server() -> Iterator[PostgresServer]:
    """Run a Postgres with nothing in it, to restore to."""
    with postgres_server() as server:
        server.start()
        yield server


@dataclass
class Said:
    """What a customer said with each key, and the answer, byte for byte."""

    conversation_id: str = ""
    answers: dict[str, bytes] = field(default_factory=dict)

    async def to(self, client: httpx.AsyncClient, key: str) -> bool:
        """Say something, or say it again; tell whether it was answered before."""
        at = None if key == "1" else self.conversation_id
        answer = await say(client, f"Pergunta {key}", key=key, conversation_id=at)
        self.conversation_id = self.conversation_id or answer.json()["conversation_id"]
        is_replayed = bool(answer.headers.get("Idempotent-Replayed") == "true")
        if is_replayed:
            assert answer.content == self.answers[key]
        self.answers[key] = answer.content
        return is_replayed


@asynccontextmanager
async def opened(database_url: str) -> AsyncIterator[tuple[App, httpx.AsyncClient]]:
    """Open and serve an app that relays only when it is asked to."""
    async with (
        bootstrap(Settings(database_url=database_url, models="scripted")) as app,
        served_without_chores(app) as client,
    ):
        yield app, client


async def relay(app: App, sink: Path) -> list[tuple[str, int]]:
    """Publish what waits; give the id and the sequence of each event that was."""
    with events_written_to(sink):
        await app.relay_outbox()
    return [(event["id"], event["data"]["sequence"]) for event in published_events(sink)]


async def test_a_restored_database_goes_on_from_the_moment_of_its_backup(
    production: PostgresServer,
    production_database: str,
    other_server: PostgresServer,
    tmp_path: Path,
) -> None:
    said = Said()
    async with opened(url_of(production, APP, production_database)) as (app, client):
        await said.to(client, "1")
        await relay(app, tmp_path / "before the backup")
        await said.to(client, "2")
        await back_up(production, production_database, tmp_path)
        lost = Said(said.conversation_id)
        await lost.to(client, "3")
        after = await relay(app, tmp_path / "after the backup")

    await restore(tmp_path, other_server, production_database)
    async with opened(url_of(other_server, APP, production_database)) as (app, client):
        # What was answered before the backup is answered by the same bytes.
        assert [await said.to(client, key) for key in ("1", "2")] == [True, True]
        # What was not published by then is published again, with the same ids.
        assert await relay(app, tmp_path / "restored") == after[:2]
        # What came after the backup is lost; its key runs anew, in the same place.
        assert await lost.to(client, "3") is False
        messages = await read_messages(client, said.conversation_id)
        assert [message["sequence"] for message in messages] == [1, 2, 3, 4, 5, 6]
        again = (await relay(app, tmp_path / "restored"))[2:]
        assert [sequence for _, sequence in again] == [sequence for _, sequence in after[2:]]
        assert not {id_ for id_, _ in again} & {id_ for id_, _ in after}


async def test_what_guards_the_tables_comes_with_them(
    production: PostgresServer,
    production_database: str,
    other_server: PostgresServer,
    tmp_path: Path,
) -> None:
    await back_up(production, production_database, tmp_path)
    await restore(tmp_path, other_server, production_database)
    guards = [await _guards(server, production_database) for server in (production, other_server)]
    assert guards[0] == guards[1]
    assert guards[0]["sequences"] == []
    restored = await asyncpg.connect(
        url_of(other_server, APP, production_database).replace("+asyncpg", "")
    )
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await restored.execute("drop table outbox")
    await restored.close()


GUARDS = {
    "tables": """select relname, relowner::regrole::text, relrowsecurity, relforcerowsecurity,
        array(select unnest(relacl)::text order by 1)
        from pg_class where relnamespace = 'public'::regnamespace and relkind = 'r' order by 1""",
    "policies": "select * from pg_policies order by tablename, policyname",
    "defaults": "select defaclrole::regrole::text, defaclacl::text from pg_default_acl order by 1",
    "roles": """select rolname, rolcanlogin, rolsuper, rolbypassrls, rolconfig from pg_roles
        where rolname !~ '^pg_' order by 1""",
    "members": "select roleid::regrole::text, member::regrole::text from pg_auth_members"
    " where roleid::regrole::text !~ '^pg_' order by 1, 2",
    # There is none: identifiers are made by Prosa, and counted within their conversation.
    "sequences": "select sequencename from pg_sequences",
}


async def _guards(server: PostgresServer, name: str) -> dict[str, list[asyncpg.Record]]:
    owner = await connect(server, name)
    found = {what: await owner.fetch(query) for what, query in GUARDS.items()}
    await owner.close()
    return found


async def test_a_backup_while_turns_run_holds_each_commit_whole_or_not_at_all(
    production: PostgresServer,
    production_database: str,
    other_server: PostgresServer,
    tmp_path: Path,
) -> None:
    async with opened(url_of(production, APP, production_database)) as (app, _):
        before = [await app.take_turn(CustomerMessage(text="Oi")) for _ in range(3)]
        ended = asyncio.Event()
        talking = [asyncio.create_task(_talk(app, ended)) for _ in range(3)]
        await back_up(production, production_database, tmp_path)
        ended.set()
        assert sum(await asyncio.gather(*talking))
    await restore(tmp_path, other_server, production_database)
    owner = await connect(other_server, production_database)
    assert await owner.fetch(TORN) == []
    kept = {row["id"] for row in await owner.fetch("select id from turns")}
    await owner.close()
    assert {outcome.turn.id for outcome in before} <= kept


TORN = """
    select id from conversations c
    where message_count <> (select count(*) from messages m
            where (m.tenant_id, m.conversation_id) = (c.tenant_id, c.id))
        or event_count <> (select count(*) from outbox o
            where (o.tenant_id, o.conversation_id) = (c.tenant_id, c.id))
        or running_turn_id is not null and not exists (select from turns t
            where (t.tenant_id, t.id) = (c.tenant_id, c.running_turn_id))
"""
"""Conversations of which a part is missing."""


async def _talk(app: App, ended: asyncio.Event) -> int:
    """Take turns until somebody says that it is enough; count them."""
    count = 0
    while not ended.is_set():
        await app.take_turn(CustomerMessage(text="Oi"))
        count += 1
    return count


# SQLite


def by_backup(file: Path, copy: Path) -> None:
    """Do as `.backup` of the program sqlite3 does."""
    with closing(sqlite3.connect(file)) as source, closing(sqlite3.connect(copy)) as target:
        source.backup(target)


def by_the_documented_command(file: Path, copy: Path) -> None:
    """Run what docs/operations.md says for a file that is in use."""
    (words,) = commands(read(OPERATIONS), "python -c")
    subprocess.run([sys.executable, "-c", *words], cwd=file.parent, check=True)
    assert copy == file.parent / "copy.db"


@pytest.mark.parametrize("copy_by", [by_backup, by_the_documented_command])
async def test_a_copy_of_a_sqlite_file_in_use_goes_on_from_its_moment(
    sqlite_url: str, tmp_path: Path, copy_by: Callable[[Path, Path], None]
) -> None:
    said = Said()
    copy = tmp_path / "copy.db"
    async with opened(sqlite_url) as (app, client):
        await said.to(client, "1")
        await said.to(client, "2")
        await asyncio.to_thread(copy_by, tmp_path / "prosa.db", copy)
        await Said(said.conversation_id).to(client, "3")
        after = await relay(app, tmp_path / "events")
    async with opened(f"sqlite+aiosqlite:///{copy}") as (app, client):
        assert [await said.to(client, key) for key in ("1", "2", "3")] == [True, True, False]
        assert (await relay(app, tmp_path / "restored"))[:5] == after[:5]
