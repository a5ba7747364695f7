"""The save: all that a unit of work writes, together or not at all.

On Postgres it is one statement of writing CTEs, which is a transaction by itself; its final select
divides by the number of conversations saved, so that a version that is gone undoes everything.
SQLite has no writing CTEs and no network: there the same writes run one after the other in a
transaction. Statements are compiled once for each dialect and shape: how many rows go where.
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from functools import lru_cache
from itertools import chain
from operator import itemgetter

from prosa.adapters.sql.compiled import compiled
from prosa.adapters.sql.connection import SqlConnection
from prosa.adapters.sql.dialect import Argument, Row, SqlDialect
from prosa.adapters.sql.row_mapping import PLACE_OF_KEY
from prosa.application.ports.unit_of_work import VersionConflict
from prosa.domain.errors import KeyTaken


class Write(StrEnum):
    """One kind of write, in the order in which they must run: what is referred to comes first."""

    ADD_CONVERSATION = "add_conversation"
    SAVE_CONVERSATION = "save_conversation"
    ADD_MESSAGES = "add_messages"
    KEEP_TURNS = "keep_turns"
    KEEP_ATTEMPTS = "keep_attempts"
    ADD_USAGE = "add_usage"
    ADD_EVENTS = "add_events"
    CLAIM_KEY = "claim_key"


Rows = dict[Write, list[Row]]

FIRST = "somebody else saved the conversation first"
DIVISION_BY_ZERO = "22012"  # https://www.postgresql.org/docs/current/errcodes-appendix.html
KEY_TAKEN = "pk_requests"
"""The constraint that says so."""


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A compiled write. `arrange` puts the flattened rows in the statement's order."""

    sql: str
    arrange: Callable[[Row], Row]


async def save(connection: SqlConnection, dialect: SqlDialect, rows: Rows) -> None:
    """Write the rows. Raises KeyTaken, VersionConflict, and what the driver raises."""
    present = {write: rows[write] for write in Write if rows.get(write)}
    if not present:
        return
    if dialect.is_postgres:
        await _save_by_one_statement(connection, dialect, present)
    else:
        await _save_in_a_transaction(connection, dialect, present)


async def _save_by_one_statement(
    connection: SqlConnection, dialect: SqlDialect, rows: Rows
) -> None:
    shape = tuple((write.value, len(found)) for write, found in rows.items())
    prepared = _prepared(dialect, "saving.at_once", shape)
    flat: Row = tuple(chain.from_iterable(chain.from_iterable(rows.values())))
    try:
        await connection.fetch(prepared.sql, prepared.arrange(flat))
    except Exception as error:
        # By the codes and not by asyncpg's classes: the driver is an extra.
        if getattr(error, "constraint_name", None) == KEY_TAKEN:
            raise KeyTaken(_key_of(rows)) from error
        if getattr(error, "sqlstate", None) == DIVISION_BY_ZERO:
            raise VersionConflict(FIRST) from error
        raise


async def _save_in_a_transaction(
    connection: SqlConnection, dialect: SqlDialect, rows: Rows
) -> None:
    async with connection.transaction():
        for write, found in rows.items():
            prepared = _prepared(dialect, "saving.alone", write.value, len(found))
            flat: Row = tuple(chain.from_iterable(found))
            written = await connection.fetch(prepared.sql, prepared.arrange(flat))
            if write is Write.SAVE_CONVERSATION and not written:
                raise VersionConflict(FIRST)
            if write is Write.CLAIM_KEY and not written:
                raise KeyTaken(_key_of(rows))


def _key_of(rows: Rows) -> str:
    return str(rows[Write.CLAIM_KEY][0][PLACE_OF_KEY])


@lru_cache(maxsize=256)
def _prepared(dialect: SqlDialect, name: str, *arguments: Argument) -> _Prepared:
    statement = compiled(dialect, name, *arguments)
    places = (int(name.removeprefix("v")) for name in statement.names)
    return _Prepared(statement.sql, itemgetter(*places))
