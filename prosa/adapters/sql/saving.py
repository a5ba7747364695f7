"""The save: all that a unit of work writes, as one statement on Postgres.

There it is a row of writing CTEs, and a final select counts what must not be nought. SQLite has no
writing CTEs and no network: there the same writes run one after the other in the transaction.
Statements are compiled once for each dialect and shape: how many rows go where.
"""

from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from itertools import chain
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
from prosa.adapters.sql.dialect import Row, SqlDialect, Value, compiled
from prosa.adapters.sql.tables import (
    attempts,
    conversations,
    messages,
    outbox,
    requests,
    turns,
    usage,
)

Insert = postgresql.Insert | sqlite.Insert


class Write(Enum):
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
class SavedCounts:
    """How many conversations were saved, and how many keys claimed."""

    conversations: int
    keys: int


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A compiled write. `order` says which value of the flattened rows stands at each place."""

    sql: str
    order: tuple[int, ...]


async def save(connection: SqlConnection, dialect: SqlDialect, rows: Rows) -> SavedCounts:
    """Write the rows: one statement on Postgres, one for each kind of write on SQLite."""
    present = {write: rows[write] for write in Write if rows.get(write)}
    shape = tuple((write, len(found)) for write, found in present.items())
    if not shape:
        return SavedCounts(0, 0)
    if dialect.is_postgres:
        flat: Row = tuple(chain.from_iterable(chain.from_iterable(present.values())))
        prepared = _one_statement(dialect, shape)
        [counted] = await connection.fetch(prepared.sql, _ordered(flat, prepared))
        return SavedCounts(conversations=counted[0], keys=counted[1])
    counts = dict.fromkeys(Write, 0)
    for write, count in shape:
        prepared = _single_statement(dialect, write, count)
        flat = tuple(chain.from_iterable(present[write]))
        counts[write] = len(await connection.fetch(prepared.sql, _ordered(flat, prepared)))
    return SavedCounts(counts[Write.SAVE_CONVERSATION], counts[Write.CLAIM_KEY])


def _ordered(flat: Row, prepared: _Prepared) -> tuple[Value, ...]:
    return tuple(flat[place] for place in prepared.order)


@lru_cache(maxsize=256)
def _one_statement(dialect: SqlDialect, shape: Shape) -> _Prepared:
    """Compile all writes of a shape into one statement that counts saves and claims."""
    ctes: dict[Write, Any] = {}
    for write, count in shape:
        ctes[write] = _statement(dialect, write, count).cte(write.value)
    counted = [
        select(func.count()).select_from(ctes[write]).scalar_subquery()
        if write in ctes
        else literal_column("0")
        for write in (Write.SAVE_CONVERSATION, Write.CLAIM_KEY)
    ]
    everything = select(*counted).add_cte(*ctes.values())
    names = list(chain.from_iterable(_names(write, count) for write, count in shape))
    return _prepare(everything, names, dialect)


@lru_cache(maxsize=256)
def _single_statement(dialect: SqlDialect, write: Write, count: int) -> _Prepared:
    return _prepare(_statement(dialect, write, count), _names(write, count), dialect)


def _prepare(statement: ClauseElement, names: list[str], dialect: SqlDialect) -> _Prepared:
    result = compiled(statement, dialect)
    return _Prepared(result.sql, tuple(names.index(name) for name in result.names))


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
        case Write.CLAIM_KEY:
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
