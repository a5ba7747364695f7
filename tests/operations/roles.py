"""The roles within Postgres, as infrastructure/terraform/README.md has them set up."""

import re
from pathlib import Path

import asyncpg

from prosa.adapters.sql.migrations import migrate
from tests.faults.postgres_server import PostgresServer

DOCUMENT = Path(__file__).parents[2] / "infrastructure" / "terraform" / "README.md"
STATEMENT = re.compile(r'^ *sql "(.+)"$', re.MULTILINE)
OF_AWS = "rds_iam"
"""A role that RDS makes by itself; its members log in by IAM."""

OWNER, MIGRATOR, APP = "postgres", "prosa_migrator", "prosa_app"


def url_of(server: PostgresServer, role: str, name: str) -> str:
    """Give the address of a database there, for a role of it."""
    return f"postgresql+asyncpg://{role}@127.0.0.1:{server.port}/{name}"


async def connect(server: PostgresServer, name: str) -> asyncpg.Connection:
    """Connect as the owner of everything."""
    return await asyncpg.connect(host="127.0.0.1", port=server.port, user=OWNER, database=name)


async def set_up(server: PostgresServer, name: str) -> None:
    """Make a database with the documented roles, migrated by the one that owns tables."""
    everywhere = await connect(server, OWNER)
    await everywhere.execute(f"create role {OF_AWS}")
    await everywhere.execute(f"create database {name}")
    await everywhere.close()
    there = await connect(server, name)
    for statement in STATEMENT.findall(DOCUMENT.read_text()):
        await there.execute(statement)
    await there.close()
    await migrate(url_of(server, MIGRATOR, name))
