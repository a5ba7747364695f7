"""The migrations make the tables that the code expects, on both databases."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.script.revision import Revision
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from prosa.adapters.sql import migrations
from prosa.adapters.sql.database import SCHEMA_REVISION, Database, needed_by
from prosa.adapters.sql.migrations import migrate
from prosa.adapters.sql.tables import metadata
from prosa.bootstrap.storage import Migration
from prosa.bootstrap.storage import migrate as migrate_by_settings
from prosa.domain.errors import ConfigurationError
from prosa.settings import Settings


@pytest.fixture
async def empty_postgres_url(postgres_url: str) -> AsyncIterator[str]:
    name = f"empty_{uuid4().hex}"
    database = Database(postgres_url)
    async with database.lending() as connection:
        await connection.fetch(f"create database {name}", ())
    yield postgres_url.replace("/postgres?", f"/{name}?")
    async with database.lending() as connection:
        await connection.fetch(f"drop database {name} with (force)", ())
    await database.close()


@pytest.fixture
def empty_sqlite_url(tmp_path: Path) -> str:
    return f"sqlite+aiosqlite:///{tmp_path / 'empty.db'}"


@pytest.fixture(params=["empty_postgres_url", "empty_sqlite_url"])
def empty_url(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(request.param)
    return url


def test_the_code_expects_the_newest_migration() -> None:
    scripts = ScriptDirectory(str(Path(migrations.__file__).parent))
    assert scripts.get_current_head() == SCHEMA_REVISION


async def test_migrations_make_the_tables_that_the_code_describes(empty_url: str) -> None:
    await migrate(empty_url)
    engine = create_async_engine(empty_url)
    async with engine.connect() as connection:
        assert await connection.run_sync(_differences) == []
    await engine.dispose()


async def test_migrating_twice_changes_nothing(empty_url: str) -> None:
    await migrate(empty_url)
    await migrate(empty_url)
    database = Database(empty_url)
    await database.check()
    await database.close()


async def test_of_several_that_migrate_at_once_each_ends_well(empty_url: str) -> None:
    # In a process of its own each: Alembic keeps what it works on in module globals.
    code = "import asyncio, sys; from prosa.adapters.sql.migrations import migrate; "
    processes = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-c", f"{code}asyncio.run(migrate(sys.argv[1]))", empty_url
        )
        for _ in range(3)
    ]
    assert [await process.wait() for process in processes] == [0, 0, 0]
    database = Database(empty_url)
    await database.check()
    await database.close()


async def test_a_database_without_tables_says_what_to_run(empty_url: str) -> None:
    database = Database(empty_url)
    with pytest.raises(ConfigurationError, match=r"no tables of Prosa.*run `prosa migrate`"):
        await database.check()
    await database.close()


def test_what_takes_something_away_says_what_it_needs_and_all_behind_it_go_on_saying_so() -> None:
    """Otherwise a version that is still running would be let go on with what it cannot use."""
    scripts = ScriptDirectory(str(Path(migrations.__file__).parent))
    known = ""
    needed = ""
    for script in reversed(list(scripts.walk_revisions())):
        assert script.revision > known
        assert needed <= needed_by(script.revision) <= known
        known, needed = script.revision, needed_by(script.revision)


def test_alembic_takes_the_names_of_migrations_that_take_something_away() -> None:
    """It refuses some characters, of which one is a dash."""
    revision = Revision(f"9999_{SCHEMA_REVISION}", SCHEMA_REVISION)
    assert needed_by(str(revision.revision)) == SCHEMA_REVISION


async def set_revision(database: Database, revision: str) -> None:
    """Have a database be at a revision, whatever its tables are."""
    statement = f"update alembic_version set version_num = '{revision}' returning 1"  # noqa: S608 - the test's own
    async with database.lending() as connection:
        await connection.fetch(statement, ())


@pytest.mark.parametrize("newer", ["9999", f"9999_{SCHEMA_REVISION}"])
async def test_this_version_works_on_with_what_a_newer_one_has_added(
    sqlite: Database, sqlite_url: str, newer: str
) -> None:
    await set_revision(sqlite, newer)
    assert await sqlite.check() == (
        f"at revision {newer} of a newer version; this one knows {SCHEMA_REVISION}"
    )
    settings = Settings(database_url=sqlite_url)
    assert await migrate_by_settings(settings) == Migration(before=newer, after=newer)


async def test_this_version_refuses_what_a_newer_one_has_taken_something_from(
    sqlite: Database, sqlite_url: str
) -> None:
    await set_revision(sqlite, "9999_9998")
    with pytest.raises(ConfigurationError, match=r"has revision 9999_9998.* use a newer one"):
        await sqlite.check()
    with pytest.raises(ConfigurationError, match=r"has revision 9999_9998.* use a newer one"):
        await migrate_by_settings(Settings(database_url=sqlite_url))


async def test_a_database_of_a_newer_version_is_not_migrated(
    sqlite: Database, sqlite_url: str
) -> None:
    await set_revision(sqlite, "9999")
    with pytest.raises(ConfigurationError, match="newer version"):
        await migrate(sqlite_url)
    assert await sqlite.revision() == "9999"


async def test_a_database_of_an_older_version_says_what_to_run(sqlite: Database) -> None:
    await set_revision(sqlite, "0000")
    with pytest.raises(ConfigurationError, match=r"has revision 0000.*run `prosa migrate`"):
        await sqlite.check()


def _differences(connection: Connection) -> list[object]:
    return list(compare_metadata(MigrationContext.configure(connection), metadata))
