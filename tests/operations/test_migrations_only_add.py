"""Decision 21: a migration only adds, and what is only added to goes on working."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from prosa.adapters.sql import migrations
from prosa.adapters.sql.database import needed_by
from prosa.adapters.sql.tables import metadata
from prosa.bootstrap import bootstrap
from prosa.settings import Settings
from tests.faults.postgres_server import PostgresServer
from tests.operations import older_process as this_version
from tests.operations.conftest import PATTERN
from tests.operations.roles import MIGRATOR, OWNER, connect, url_of
from tests.operations.schema import schema_of, taken_away

FOLDER = Path(migrations.__file__).parent
REVISIONS = [one.revision for one in ScriptDirectory(str(FOLDER)).walk_revisions()][::-1]


@pytest.fixture
def owners_url(production: PostgresServer, production_database: str) -> str:
    """Give a migrated database, for the role that owns the tables."""
    return url_of(production, MIGRATOR, production_database)


@pytest.fixture
async def empty_postgres(production: PostgresServer) -> AsyncIterator[str]:
    owner = await connect(production, OWNER)
    await owner.execute("create database before_any_migration")
    yield url_of(production, OWNER, "before_any_migration")
    await owner.execute("drop database before_any_migration with (force)")
    await owner.close()


@pytest.fixture
def empty_sqlite(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path / 'empty.db'}"


@pytest.fixture(params=["empty_postgres", "empty_sqlite"])
def empty_url(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(request.param)
    return url


async def test_a_migration_takes_nothing_away_unless_its_name_says_so(empty_url: str) -> None:
    async with _connection(empty_url) as connection:
        assert await connection.run_sync(lambda sync: list(_taken_away_in_silence(sync))) == []


def _taken_away_in_silence(connection: Connection) -> Iterator[str]:
    """Migrate step by step; look at each step that asks nothing of older versions."""
    before, needed = schema_of(connection), ""
    for revision in REVISIONS:
        _migrate_to(connection, revision)
        after = schema_of(connection)
        if needed_by(revision) == needed:
            yield from (f"{revision}: {what}" for what in taken_away(before, after))
        before, needed = after, needed_by(revision)


def _migrate_to(connection: Connection, revision: str) -> None:
    config = Config()
    config.set_main_option("script_location", str(FOLDER))
    config.attributes["connection"] = connection
    command.upgrade(config, revision)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ("drop table deliveries", "deliveries is gone"),
        ("alter table turns drop column intent", "turns.intent is gone"),
        ("alter table turns rename intent to purpose", "turns.intent is gone"),
        (
            "alter table turns add region text not null",
            "turns.region is new, and has to be written",
        ),
        (
            "alter table turns alter intent set not null",
            "turns.intent has to be written, and had not",
        ),
        (
            "alter table outbox alter tries drop default",
            "outbox.tries has to be written, and had not",
        ),
        ("alter table turns alter attempt type text", "turns.attempt is TEXT and was INTEGER"),
        ("alter table turns add unique (intent)", "turns has a new rule: unique ['intent']"),
        ("create unique index on turns (intent)", "turns has a new rule: unique ['intent']"),
        ("alter table turns add check (attempt < 9)", "turns has a new rule: check attempt < 9"),
        ("alter table turns enable row level security", "turns has a new rule: row level security"),
        ("create table later (id text primary key)", None),
        ("alter table turns add region text", None),
        ("alter table turns add priority integer not null default 0", None),
        ("alter table turns alter created_at drop not null", None),
        ("create index on turns (intent)", None),
    ],
)
async def test_what_older_versions_would_miss_is_noticed(
    production: PostgresServer, change: str, found: str | None
) -> None:
    # Nothing is committed.
    async with _connection(url_of(production, MIGRATOR, PATTERN)) as connection:
        before = await connection.run_sync(schema_of)
        await connection.execute(text(change))
        after = await connection.run_sync(schema_of)
        assert taken_away(before, after) == ([found] if found else [])


async def test_this_version_works_on_where_a_newer_one_has_added_to_every_table(
    database_url: str, request: pytest.FixtureRequest
) -> None:
    is_sqlite = database_url.startswith("sqlite")
    async with _connection(
        database_url if is_sqlite else request.getfixturevalue("owners_url")
    ) as connection:
        for statement in _additions():
            await connection.execute(text(statement))
        await connection.commit()
    async with bootstrap(Settings(database_url=database_url, models="scripted")) as app:
        said = await this_version.say(app, "Oi", "1", None)
        again = await this_version.say(app, "Oi", "1", None)
        assert again == {**said, "replayed": True}
        await this_version.say(app, "Tudo bem?", "2", said["conversation_id"])
        assert len(await this_version.read(app, said["conversation_id"])) == 4
        assert (await this_version.relay(app))["published"] == 5


def _additions() -> Iterator[str]:
    for table in metadata.tables:
        yield f"alter table {table} add column noted_later text"
        yield f"alter table {table} add column counted_later integer not null default 0"
    yield "create table added_later (id text primary key)"
    yield "create index ix_added_later on turns (noted_later)"
    yield "update alembic_version set version_num = '9999'"


@asynccontextmanager
async def _connection(url: str) -> AsyncIterator[AsyncConnection]:
    engine = create_async_engine(url)
    try:
        async with engine.connect() as connection:
            yield connection
    finally:
        await engine.dispose()
