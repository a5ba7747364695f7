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
from typing import Any

from sqlalchemy import (
    ClauseElement,
    Table,
    Update,
    bindparam,
    func,
    literal_column,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import ReturningInsert, ReturningUpdate

from prosa.adapters.sql.connection import SqlConnection
from prosa.adapters.sql.dialect import Row, SqlDialect, compiled
from prosa.adapters.sql.tables import (
    attempts,
    conversations,
    messages,
    outbox,
    requests,
    turns,
    usage,
)
from prosa.application.ports.unit_of_work import VersionConflict
from prosa.domain.errors import KeyTaken

Insert = postgresql.Insert | sqlite.Insert


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
Shape = tuple[tuple[Write, int], ...]

FIRST = "somebody else saved the conversation first"
DIVISION_BY_ZERO = "22012"  # https://www.postgresql.org/docs/current/errcodes-appendix.html
OUTBOX_COLUMNS_WRITTEN = 7
CHANGING_COLUMNS = (
    "status",
    "owner",
    "updated_at",
    "message_count",
    "event_count",
    "version",
    "running_turn_id",
)


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
    shape = tuple((write, len(found)) for write, found in rows.items())
    prepared = _one_statement(dialect, shape)
    flat: Row = tuple(chain.from_iterable(chain.from_iterable(rows.values())))
    try:
        await connection.fetch(prepared.sql, prepared.arrange(flat))
    except Exception as error:
        # By the codes and not by asyncpg's classes: the driver is an extra.
        if getattr(error, "constraint_name", None) == requests.primary_key.name:
            raise KeyTaken(_key_of(rows)) from error
        if getattr(error, "sqlstate", None) == DIVISION_BY_ZERO:
            raise VersionConflict(FIRST) from error
        raise


async def _save_in_a_transaction(
    connection: SqlConnection, dialect: SqlDialect, rows: Rows
) -> None:
    async with connection.transaction():
        for write, found in rows.items():
            prepared = _single_statement(dialect, write, len(found))
            flat: Row = tuple(chain.from_iterable(found))
            written = await connection.fetch(prepared.sql, prepared.arrange(flat))
            if write is Write.SAVE_CONVERSATION and not written:
                raise VersionConflict(FIRST)
            if write is Write.CLAIM_KEY and not written:
                raise KeyTaken(_key_of(rows))


def _key_of(rows: Rows) -> str:
    column = requests.c.keys().index("key")
    return str(rows[Write.CLAIM_KEY][0][column])


@lru_cache(maxsize=256)
def _one_statement(dialect: SqlDialect, shape: Shape) -> _Prepared:
    """Compile all writes of a shape into one statement."""
    ctes = {write: _statement(dialect, write, count).cte(write.value) for write, count in shape}
    saved = ctes.get(Write.SAVE_CONVERSATION)
    proof = (
        literal_column("1")
        if saved is None
        else literal_column("1") / select(func.count()).select_from(saved).scalar_subquery()
    )
    names = list(chain.from_iterable(_names(write, count) for write, count in shape))
    return _prepare(select(proof).add_cte(*ctes.values()), names, dialect)


@lru_cache(maxsize=256)
def _single_statement(dialect: SqlDialect, write: Write, count: int) -> _Prepared:
    return _prepare(_statement(dialect, write, count), _names(write, count), dialect)


def _prepare(statement: ClauseElement, names: list[str], dialect: SqlDialect) -> _Prepared:
    result = compiled(statement, dialect)
    return _Prepared(result.sql, itemgetter(*map(names.index, result.names)))


def _names(write: Write, count: int) -> list[str]:
    """Name every value of the rows, in the order in which the rows hold them."""
    columns = _TABLES[write].c.keys()
    if write is Write.ADD_EVENTS:
        columns = columns[:OUTBOX_COLUMNS_WRITTEN]
    return [f"{write.value}_{row}_{column}" for row in range(count) for column in columns]


_TABLES: dict[Write, Table] = {
    Write.ADD_CONVERSATION: conversations,
    Write.SAVE_CONVERSATION: conversations,
    Write.ADD_MESSAGES: messages,
    Write.KEEP_TURNS: turns,
    Write.KEEP_ATTEMPTS: attempts,
    Write.ADD_USAGE: usage,
    Write.ADD_EVENTS: outbox,
    Write.CLAIM_KEY: requests,
}


def _statement(
    dialect: SqlDialect, write: Write, count: int
) -> ReturningInsert[Any] | ReturningUpdate[Any]:
    """Build a write that returns one row for each row written."""
    return _writing(dialect, write, count).returning(literal_column("1").label("written"))


def _writing(dialect: SqlDialect, write: Write, count: int) -> Insert | Update:
    match write:
        case Write.SAVE_CONVERSATION:
            return _save_conversation()
        case Write.KEEP_TURNS | Write.KEEP_ATTEMPTS:
            return _upsert(dialect, write, count)
        case Write.CLAIM_KEY if not dialect.is_postgres:
            return _insert(dialect, write, count).on_conflict_do_nothing()
        case _:
            return _insert(dialect, write, count)


def _insert(dialect: SqlDialect, write: Write, count: int) -> Insert:
    table = _TABLES[write]
    insert = postgresql.insert if dialect.is_postgres else sqlite.insert
    names = iter(_names(write, count))
    width = OUTBOX_COLUMNS_WRITTEN if write is Write.ADD_EVENTS else len(table.c)
    columns = table.c.keys()[:width]
    return insert(table).values(
        [
            {column: bindparam(next(names), type_=table.c[column].type) for column in columns}
            for _ in range(count)
        ]
    )


def _upsert(dialect: SqlDialect, write: Write, count: int) -> Insert:
    table = _TABLES[write]
    insert = _insert(dialect, write, count)
    key = [column.name for column in table.primary_key]
    changing = {
        column.name: insert.excluded[column.name] for column in table.c if column.name not in key
    }
    return insert.on_conflict_do_update(index_elements=key, set_=changing)


def _save_conversation() -> Update:
    """Compare the version that was loaded, which is one less than the version in the row."""
    named = {
        column.name: bindparam(
            f"{Write.SAVE_CONVERSATION.value}_0_{column.name}", type_=column.type
        )
        for column in conversations.c
    }
    return (
        update(conversations)
        .where(
            conversations.c.tenant_id == named["tenant_id"],
            conversations.c.id == named["id"],
            conversations.c.version + literal_column("1") == named["version"],
        )
        .values({column: named[column] for column in CHANGING_COLUMNS})
    )
