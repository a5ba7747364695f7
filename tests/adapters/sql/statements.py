"""Counts what really reaches a driver."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from sqlalchemy import Connection

from prosa.adapters.sql.connection import SqlConnection
from prosa.adapters.sql.database import Database

T = TypeVar("T")


class CountedDatabase(Database):
    """A database that writes down the first word of each statement that units of work send."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self.sent: list[str] = []

    async def connect(self) -> SqlConnection:
        """Lend a connection that is watched."""
        return CountedConnection(await super().connect(), self.sent)


class CountedConnection(SqlConnection):
    """Passes everything on."""

    def __init__(self, connection: SqlConnection, sent: list[str]) -> None:
        self._connection = connection
        self._sent = sent

    async def begin(self) -> None:
        self._sent.append("begin")
        await self._connection.begin()

    async def fetch(self, sql: str, values: Sequence[Any]) -> Sequence[Sequence[Any]]:
        self._sent.append(sql.split(maxsplit=1)[0].lower())
        return await self._connection.fetch(sql, values)

    async def commit(self) -> None:
        self._sent.append("commit")
        await self._connection.commit()

    async def run_sync(self, work: Callable[[Connection], T]) -> T:
        return await self._connection.run_sync(work)

    async def close(self) -> None:
        await self._connection.close()
