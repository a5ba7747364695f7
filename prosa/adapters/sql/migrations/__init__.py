"""Brings a database to the tables that this version needs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import URL, Connection, make_url, text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from prosa.adapters.sql.connection import LEND_SECONDS
from prosa.adapters.sql.driver_errors import translated
from prosa.adapters.sql.sqlite_connection import sqlite_engine
from prosa.application.ports.secret_store import Secret
from prosa.domain.errors import ConfigurationError

LOCK = 7_270_972
"""Names the lock that lets one migration run at a time: a number that nobody else uses."""


async def migrate(url: str, *, password: Secret | None = None) -> None:
    """Run the migrations that are missing, all in one transaction.

    `password` takes the place of one in the address. Raises StorageUnavailable, and
    ConfigurationError for the database of a newer version.
    """
    try:
        with translated():
            async with _engine(url, password) as engine, engine.connect() as connection:
                await connection.run_sync(_in_one_transaction)
    except CommandError as error:
        raise ConfigurationError(
            "the database is of a newer version of Prosa: there is no way back from it"
        ) from error


@asynccontextmanager
async def _engine(address: str, password: Secret | None) -> AsyncIterator[AsyncEngine]:
    url = make_url(address)
    engine = (
        sqlite_engine(url)
        if url.get_backend_name() == "sqlite"
        else _postgres_engine(url, password)
    )
    try:
        yield engine
    finally:
        await engine.dispose()


def _postgres_engine(url: URL, password: Secret | None) -> AsyncEngine:
    arguments: dict[str, object] = {"timeout": LEND_SECONDS}
    if password is not None:
        arguments["password"] = password.read
    return create_async_engine(url, isolation_level="AUTOCOMMIT", connect_args=arguments)


def _in_one_transaction(connection: Connection) -> None:
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("begin immediate")
    else:
        connection.exec_driver_sql("begin")
        connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
    connection.exec_driver_sql("commit")
