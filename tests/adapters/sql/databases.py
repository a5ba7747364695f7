"""Databases that fail."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Never, cast

import asyncpg

from prosa.adapters.sql.connection import SqlConnection
from prosa.adapters.sql.database import Database


class BreakingDatabase(Database):
    """A database whose connections break, once they do, without a word from the server."""

    breaks = False

    @asynccontextmanager
    async def lending(self) -> AsyncIterator[SqlConnection]:
        """Lend one that breaks as a network does."""
        async with super().lending() as connection:
            yield cast("SqlConnection", SilentlyBroken()) if self.breaks else connection


class SilentlyBroken:
    """A connection that breaks without a word from the server."""

    async def fetch(self, *_: object) -> Never:
        raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle")
