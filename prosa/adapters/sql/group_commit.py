"""Saves on Postgres: what several units of work save at a time is committed together.

One statement of writing CTEs is a transaction by itself. A group that Postgres refuses is committed
one by one, so that nobody fails of another's fault.
"""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from prosa.adapters.sql.compiled import compiled
from prosa.adapters.sql.connection import SqlConnection
from prosa.adapters.sql.dialect import POSTGRES
from prosa.adapters.sql.driver_errors import FIRST, committing, meaning_of, state_of
from prosa.adapters.sql.gathering import Gathering
from prosa.adapters.sql.row_arrays import array_of, objects_of
from prosa.adapters.sql.saving import IN_ORDER, Rows, Write, key_of
from prosa.application.ports.unit_of_work import VersionConflict
from prosa.domain.errors import KeyTaken

DIVISION_BY_ZERO = "22012"  # https://www.postgresql.org/docs/current/errcodes-appendix.html
KEY_TAKEN = "pk_requests"
"""The constraint that says so."""


@dataclass(frozen=True, slots=True, eq=False)
class _Save:
    """One unit of work's rows, and the same as JSON, by kind of write."""

    rows: Rows
    objects: dict[str, bytes]


class GroupCommit:
    """Commits saves in groups, each of which is written, or not, as a whole."""

    def __init__(self, lending: Callable[[], AbstractAsyncContextManager[SqlConnection]]) -> None:
        self._lending = lending
        self._gathering = Gathering(self._commit)

    async def save(self, rows: Rows) -> None:
        """Write the rows.

        Raises KeyTaken, VersionConflict, StorageUnavailable, CommitUnknown.
        """
        # Written as JSON here and not with the group: what cannot be is its own fault.
        objects = {write: objects_of(found) for write, found in rows.items() if found}
        refused = await self._gathering.ask(_Save(rows, objects))
        if refused is not None:
            raise refused

    async def _commit(self, saves: Sequence[_Save]) -> Sequence[Exception | None]:
        """Commit together; tell each save for what it was refused.

        Raises StorageUnavailable where nothing could be sent, and CommitUnknown.
        """
        refusal = await self._written(saves)
        if refusal is None:
            return [None] * len(saves)
        if len(saves) == 1:
            return [_meaning(refusal, saves[0].rows)]
        return await asyncio.gather(*map(self._commit_alone, saves))

    async def _commit_alone(self, save: _Save) -> Exception | None:
        try:
            return (await self._commit([save]))[0]
        except Exception as error:  # noqa: BLE001 - told to whoever saved it, and to nobody else
            return error

    async def _written(self, saves: Sequence[_Save]) -> Exception | None:
        """Write, or give back for what error the server has written nothing."""
        statement = compiled(POSTGRES, "saving.of_arrays")
        arrays = {write: _array(write, saves) for write in IN_ORDER}
        saved = sum(Write.SAVE_CONVERSATION in save.objects for save in saves)
        async with self._lending() as connection:
            try:
                with committing():
                    await connection.fetch(statement.sql, statement.values(**arrays, saved=saved))
            except Exception as error:
                if state_of(error):
                    return error
                raise
        return None


def _array(write: str, saves: Sequence[_Save]) -> str:
    return array_of([save.objects[write] for save in saves if write in save.objects])


def _meaning(refusal: Exception, rows: Rows) -> Exception:
    """Translate what a unit of work was refused for, by the codes and not by asyncpg's classes."""
    meaning: Exception | None
    if getattr(refusal, "constraint_name", None) == KEY_TAKEN:
        meaning = KeyTaken(key_of(rows))
    elif state_of(refusal) == DIVISION_BY_ZERO:
        meaning = VersionConflict(FIRST)
    else:
        meaning = meaning_of(refusal)
    if meaning is None:
        return refusal
    meaning.__cause__ = refusal
    return meaning
