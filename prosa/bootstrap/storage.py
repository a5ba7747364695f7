"""Opens the database, and brings it to this version."""

# ruff: noqa: PLC0415 - each technology is imported only where it is configured, by whoever uses it

import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from prosa.application.ports.secret_store import Secret
from prosa.application.ports.unit_of_work import StorageUnavailable
from prosa.bootstrap.packages import required_packages
from prosa.bootstrap.secrets import reading
from prosa.domain.errors import ConfigurationError
from prosa.settings import Settings

if TYPE_CHECKING:
    from prosa.adapters.sql.database import Database

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """Which revision a database was at, None for one without tables, and is at now."""

    before: str | None
    after: str | None


async def migrate(settings: Settings) -> Migration:
    """Bring the database to this version; one of a newer version stays as it is.

    Raises ConfigurationError, StorageUnavailable.
    """
    with _database_packages(settings):
        from prosa.adapters.sql import migrations
        from prosa.adapters.sql.database import is_newer

    async with open_database(settings) as database:
        with naming_database(settings):
            before = await database.revision()
            if is_newer(before):
                await database.check()
                return Migration(before=before, after=before)
            async with _password(settings) as password:
                await migrations.migrate(settings.database_url, password=password)
            return Migration(before=before, after=await database.revision())


async def require_ready(settings: Settings, database: "Database") -> None:
    """See that the database is migrated; a SQLite file is migrated here.

    A database that is away may come back. Raises ConfigurationError, StorageUnavailable.
    """
    try:
        with naming_database(settings):
            newer = await database.check()
        if newer:
            logger.warning("%s: %s", settings.database_place, newer)
    except ConfigurationError:
        if not settings.uses_sqlite:
            raise
        await migrate(settings)
    except StorageUnavailable as error:
        if settings.uses_sqlite:
            raise
        logger.warning("starting without a database: %s", error)


@contextmanager
def naming_database(settings: Settings) -> Iterator[None]:
    """Have a failure say which database it is about."""
    try:
        yield
    except (ConfigurationError, StorageUnavailable) as error:
        raise type(error)(f"{settings.database_place}: {error}") from error


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator["Database"]:
    """Open the database; nothing is sent yet. Raises ConfigurationError."""
    _require_folder(settings)
    with _database_packages(settings):
        from prosa.adapters.sql.database import Database

        # Otherwise the driver would be missed at the first connection only.
        import_module("aiosqlite" if settings.uses_sqlite else "asyncpg")
    async with _password(settings) as password:
        with _database_packages(settings):
            database = Database(settings.database_url, password=password)
        try:
            yield database
        finally:
            await database.close()


def _password(settings: Settings) -> AbstractAsyncContextManager[Secret | None]:
    return reading("PROSA_DATABASE_PASSWORD", settings.database_password)


def _require_folder(settings: Settings) -> None:
    file = settings.sqlite_file
    if file is not None and not file.parent.is_dir():
        raise ConfigurationError(
            f"PROSA_DATABASE_URL names {file}, but there is no folder {file.parent}"
        )


@contextmanager
def _database_packages(settings: Settings) -> Iterator[None]:
    extra = "sqlite" if settings.uses_sqlite else "postgres"
    with required_packages(f"PROSA_DATABASE_URL names {extra}", extra=extra):
        yield
