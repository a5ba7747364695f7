"""The database's password: beside the address or in a secret, and rotated without a restart."""

from collections.abc import AsyncIterator, Callable
from functools import partial
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import make_url

from embedded_aws.moto_server import own_client
from prosa.adapters.cached.secret_store import DOUBT_SECONDS, CachedSecretStore
from prosa.adapters.in_memory.secret_store import InMemorySecretStore
from prosa.adapters.sql.database import Database
from prosa.application.ports.secret_store import Secret, SecretUnavailable
from prosa.application.ports.unit_of_work import StorageUnavailable
from prosa.bootstrap.storage import migrate, open_database
from prosa.domain.errors import ConfigurationError
from prosa.settings import Settings
from tests.aws import point_at

REFERENCE = "secretsmanager:prod/db#password"


def ask_for_a_password(access: Path) -> Callable[[], object]:
    """Have Postgres ask the user `guarded` for a password; gives what undoes it."""
    before = access.read_text()
    access.write_text(f"local all guarded scram-sha-256\n{before}")
    return partial(access.write_text, before)


@pytest.fixture
async def owner(postgres_url: str) -> AsyncIterator[Callable[[str], Any]]:
    """Run statements as the owner, who needs no password."""
    database = Database(postgres_url)

    async def run(statement: str) -> Any:  # noqa: ANN401 - rows as the driver gives them
        async with database.lending() as connection:
            return await connection.fetch(statement, ())

    yield run
    await database.close()


@pytest.fixture
async def url(postgres_url: str, owner: Callable[[str], Any]) -> AsyncIterator[str]:
    """Make a user with the password `one`, and give the address without it."""
    (row,) = await owner("show hba_file")
    take_back = ask_for_a_password(Path(str(row[0])))
    await owner("create role guarded superuser login password 'one'")
    await owner("select pg_reload_conf()")
    yield make_url(postgres_url).set(username="guarded").render_as_string()
    take_back()
    await owner("select pg_reload_conf()")
    await owner("drop role guarded")


def rotating(store: InMemorySecretStore) -> Secret:
    """Read a password as bootstrap has it read; time passes from look to look."""
    seconds = count(step=DOUBT_SECONDS)
    secrets = CachedSecretStore(store, timer=lambda: next(seconds))
    return Secret(read=partial(secrets.get, REFERENCE), doubt=partial(secrets.doubt, REFERENCE))


async def test_it_may_be_written_beside_the_address(url: str) -> None:
    settings = Settings(database_url=url, database_password=SecretStr("one"))
    async with open_database(settings) as database:
        await database.check()
    assert (await migrate(settings)).before


@pytest.mark.usefixtures("aws")
async def test_it_may_refer_to_a_secret(url: str) -> None:
    with own_client("secretsmanager") as client:
        client.create_secret(Name="prod/db", SecretString='{"password": "one"}')
    settings = Settings(database_url=url, database_password=SecretStr(REFERENCE))
    async with open_database(settings) as database:
        await database.check()
    assert (await migrate(settings)).before


@pytest.mark.usefixtures("aws")
async def test_what_it_refers_to_has_to_be_there_at_the_start() -> None:
    settings = Settings(
        database_url="postgresql+asyncpg://u@h/db", database_password=SecretStr("ssm:/nowhere")
    )
    with pytest.raises(ConfigurationError, match="PROSA_DATABASE_PASSWORD: cannot read ssm:/no"):
        async with open_database(settings):
            pass


async def test_a_store_that_is_away_is_a_database_that_is_away(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    point_at("http://127.0.0.1:1", monkeypatch)
    settings = Settings(
        database_url="postgresql+asyncpg://u@h/db", database_password=SecretStr("ssm:/password")
    )
    async with open_database(settings) as database:
        with pytest.raises(StorageUnavailable, match="password: cannot read ssm:/password: AWS"):
            await database.check()
    assert "starting without PROSA_DATABASE_PASSWORD: cannot read ssm:/password" in caplog.text


async def test_a_rotated_one_serves_new_connections_without_a_restart_and_without_a_failure(
    url: str, owner: Callable[[str], Any]
) -> None:
    store = InMemorySecretStore({REFERENCE: "one"})
    database = Database(url, password=rotating(store))
    async with database.lending():
        await owner("alter role guarded password 'two'")
        store.secrets[REFERENCE] = "two"
        async with database.lending() as another:
            assert await another.fetch("select 1", ())
    await database.close()


async def test_a_wrong_one_is_tried_twice_and_shown_nowhere(
    url: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = InMemorySecretStore({REFERENCE: "hunter2"})
    database = Database(url, password=rotating(store))
    with pytest.raises(StorageUnavailable) as refused:
        await database.check()
    await database.close()
    assert len(store.asked) == 2
    assert "hunter2" not in str(refused.value) + str(refused.value.__cause__) + caplog.text


async def test_one_that_cannot_be_read_any_more_is_a_database_that_is_away() -> None:
    async def read() -> str:
        raise SecretUnavailable("cannot read ssm:/password")

    database = Database("postgresql+asyncpg://u@h/db", password=Secret(read=read))
    with pytest.raises(StorageUnavailable, match="password: cannot read ssm:/password"):
        await database.check()
    await database.close()
