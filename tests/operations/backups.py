"""Backups of Postgres by its own programs, as docs/operations.md has them."""

import asyncio
import os
from pathlib import Path

from tests.faults.postgres_server import PostgresServer
from tests.operations.roles import OWNER, connect

SECONDS = 60
"""Far more than any program takes, also on a busy machine."""


async def back_up(server: PostgresServer, name: str, folder: Path) -> None:
    """Write a database and the roles of its server into a folder, while others write to it."""
    await _run(server, "pg_dumpall", "--roles-only", f"--file={folder / 'roles.sql'}")
    await _run(server, "pg_dump", "--format=custom", f"--file={folder / 'prosa.dump'}", name)


async def restore(folder: Path, server: PostgresServer, name: str) -> None:
    """Make the database of a backup on another server."""
    await _run(server, "psql", "--quiet", f"--file={folder / 'roles.sql'}", OWNER)
    owner = await connect(server, OWNER)
    await owner.execute(f"create database {name}")
    await owner.close()
    await _run(
        server,
        "pg_restore",
        *("--exit-on-error", "--single-transaction", f"--dbname={name}"),
        str(folder / "prosa.dump"),
    )


async def _run(server: PostgresServer, program: str, *arguments: str) -> None:
    process = await asyncio.create_subprocess_exec(
        server.programs / program,
        *arguments,
        env={
            "PATH": os.environ["PATH"],
            "PGHOST": "127.0.0.1",
            "PGPORT": str(server.port),
            "PGUSER": OWNER,
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    async with asyncio.timeout(SECONDS):
        _, said = await process.communicate()
    assert process.returncode == 0, f"{program}: {said.decode()}"
