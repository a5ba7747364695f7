"""Counts what really reaches a driver."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from prosa.adapters.sql.connection import Rows, SqlConnection
from prosa.adapters.sql.database import Database


class CountedDatabase(Database):
    """A database that writes down the first word of each statement that is sent."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.sent: list[str] = []

    @asynccontextmanager
    async def lending(self) -> AsyncIterator[SqlConnection]:
        """Lend a connection that is watched."""
        async with super().lending() as connection:
            yield CountedConnection(connection, self.sent)


class CountedConnection(SqlConnection):
    """Passes everything on."""

    def __init__(self, connection: SqlConnection, sent: list[str]) -> None:
        self._connection = connection
        self._sent = sent

    async def fetch(self, sql: str, values: Sequence[Any]) -> Rows:
        self._sent.append(sql.split(maxsplit=1)[0].lower())
        return await self._connection.fetch(sql, values)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[None]:
        self._sent.append("begin")
        async with self._connection.transaction():
            yield
        self._sent.append("commit")
