"""The version before works with this version's tables, and beside it on the same database."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from sqlalchemy.ext.asyncio import create_async_engine

from prosa import CustomerMessage
from prosa.adapters.sql.database import SCHEMA_REVISION, Database, needed_by
from prosa.adapters.sql.tables import turns
from prosa.bootstrap import App, bootstrap
from prosa.domain.identifiers import DEFAULT_TENANT
from prosa.domain.turn import TurnStatus
from prosa.settings import Settings
from tests.faults.serving import events_written_to
from tests.operations import older_process as this_version
from tests.operations.asking import sequences
from tests.operations.previous_version import (
    NoHistoryError,
    OlderProcess,
    PreviousVersion,
    previous_version,
)

SAID = ("Bom dia!", "Onde está o meu pedido?", "Quanto custa o frete?", "Obrigada.")
ALL_EVENTS = list(range(1, 2 + 2 * len(SAID)))
"""The start of the conversation, then the start and the end of each turn."""


@pytest.fixture(scope="session")
def version_before(tmp_path_factory: pytest.TempPathFactory) -> PreviousVersion:
    try:
        return previous_version(tmp_path_factory.mktemp("previous-version"))
    except NoHistoryError as error:
        pytest.skip(str(error))


@pytest.fixture
async def app(database_url: str) -> AsyncIterator[App]:
    """Open this version, which relays and recovers nothing unless it is asked to."""
    async with bootstrap(Settings(database_url=database_url, models="scripted")) as app:
        yield app


@pytest.fixture
async def older(
    app: App, version_before: PreviousVersion, tmp_path: Path
) -> AsyncIterator[OlderProcess]:
    """Start the version before on the same database, which this version has migrated and opened."""
    database_url = app.settings.database_url
    await _let_in(version_before, database_url)
    async with version_before.at_work(database_url, tmp_path) as older:
        yield older


async def _let_in(version: PreviousVersion, database_url: str) -> None:
    """Show a version from before decision 21 the revision that it knows.

    None of those was released. What is asked here is whether they work with the tables.
    """
    if version.takes_newer_databases:
        return
    statement = f"update alembic_version set version_num = '{version.revision}' returning 1"  # noqa: S608 - a file's name
    database = Database(database_url)
    async with database.lending() as connection:
        await connection.fetch(statement, ())
    await database.close()


def test_no_migration_takes_away_what_the_version_before_needs(
    version_before: PreviousVersion,
) -> None:
    """What is taken away was used by no released version any more: docs/operations.md."""
    assert needed_by(SCHEMA_REVISION) <= version_before.revision <= SCHEMA_REVISION


async def test_two_versions_take_turns_in_one_conversation_and_replay_each_other(
    app: App, older: OlderProcess, tmp_path: Path
) -> None:
    async def said_by(version: str, text: str, key: str) -> dict[str, Any]:
        if version == "this":
            return await this_version.say(app, text, key, conversation_id)
        asked = {"text": text, "key": key, "conversation_id": conversation_id}
        return dict(await older.ask("say", **asked))

    conversation_id: str | None = None
    for number, text in enumerate(SAID):
        first, then = ("older", "this") if number % 2 else ("this", "older")
        answer = await said_by(first, text, str(number))
        assert answer["reply"]
        assert await said_by(then, text, str(number)) == {**answer, "replayed": True}
        conversation_id = answer["conversation_id"]
        await _relayed_by(older if number % 2 else app, tmp_path / "events")
    assert conversation_id is not None
    messages = json.loads(json.dumps(await this_version.read(app, conversation_id)))
    assert await older.ask("read", conversation_id=conversation_id) == messages
    assert [sequence for sequence, *_ in messages] == list(range(1, 2 * len(SAID) + 1))
    assert sequences(tmp_path / "events", conversation_id) == ALL_EVENTS
    assert (await app.outbox.backlog()).waiting == 0


async def _relayed_by(version: OlderProcess | App, sink: Path) -> None:
    """Have a version publish what the other one, or itself, has stored."""
    if isinstance(version, OlderProcess):
        relayed = await version.ask("relay")
    else:
        with events_written_to(sink):
            relayed = await this_version.relay(version)
    assert relayed["published"]


@pytest.mark.timeout(330)  # for two runs, should the first be too slow for its own limits
async def test_the_contracts_of_the_version_before_hold_on_this_ones_tables(
    version_before: PreviousVersion, tmp_path: Path
) -> None:
    """Each statement of its adapters runs here, those too that a conversation seldom needs."""
    await version_before.keeps_its_contracts_after_migrating(tmp_path / "tree")


async def test_the_version_before_recovers_a_turn_that_this_one_left_behind(
    app: App, older: OlderProcess, database_url: str
) -> None:
    accepted = await app.take_turn.accept(CustomerMessage(text="Oi", caller_waits=False))
    await _leases_run_out(database_url)
    assert (await older.ask("recover"))["run_again"] == 1
    turn = await app.conversations.get_turn(DEFAULT_TENANT, accepted.turn.id)
    assert turn.status is TurnStatus.COMPLETED


async def _leases_run_out(database_url: str) -> None:
    database = Database(database_url)
    past = database.dialect.instant(datetime.now(UTC) - timedelta(hours=1))
    await database.close()
    engine = create_async_engine(database_url)
    async with engine.begin() as connection:
        await connection.execute(update(turns).values(lease_until=past, deadline=past))
    await engine.dispose()
