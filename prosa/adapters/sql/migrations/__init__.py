"""Brings a database to the tables that this version needs."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text

from prosa.adapters.sql.database import Database

LOCK = 7_270_972
"""Names the lock that lets one migration run at a time: a number that nobody else uses."""


async def migrate(url: str) -> None:
    """Run the migrations that are missing, all in one transaction.

    Raises StorageUnavailable, ConfigurationError.
    """
    database = Database(url)
    try:
        async with database.lending() as connection:
            await connection.begin()
            await connection.run_sync(_upgrade)
            await connection.commit()
    finally:
        await database.close()


def _upgrade(connection: Connection) -> None:
    if connection.dialect.name == "postgresql":
        connection.execute(text("set local lock_timeout = '60s'"))
        connection.execute(text("set local statement_timeout = 0"))
        connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
