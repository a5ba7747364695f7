"""The save, by its shape: how many rows each kind of write has.

Parameters are named `v0`, `v1` and so on, by the place of their values where all values of all rows
stand one after the other.
"""

from collections.abc import Callable, Iterator
from itertools import count
from typing import Any

from sqlalchemy import (
    BindParameter,
    Column,
    Select,
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
Insertion = Callable[[Table], Insert]

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

_TABLES: dict[str, Table] = {
    "add_conversation": conversations,
    "save_conversation": conversations,
    "add_messages": messages,
    "keep_turns": turns,
    "keep_attempts": attempts,
    "add_usage": usage,
    "add_events": outbox,
    "claim_key": requests,
}


def at_once(shape: tuple[tuple[str, int], ...]) -> Select[Any]:
    """Write all in one statement, for Postgres."""
    places = count()
    ctes = {
        write: _statement(postgresql.insert, write, rows, places).cte(write)
        for write, rows in shape
    }
    saved = ctes.get("save_conversation")
    proof = (
        literal_column("1")
        if saved is None
        else literal_column("1") / select(func.count()).select_from(saved).scalar_subquery()
    )
    return select(proof).add_cte(*ctes.values())


def alone(write: str, rows: int) -> ReturningInsert[Any] | ReturningUpdate[Any]:
    """Write one kind, for SQLite."""
    return _statement(sqlite.insert, write, rows, count())


def _statement(
    insertion: Insertion, write: str, rows: int, places: Iterator[int]
) -> ReturningInsert[Any] | ReturningUpdate[Any]:
    """Build a write that returns one row for each row written."""
    writing = _writing(insertion, write, rows, places)
    return writing.returning(literal_column("1").label("written"))


def _writing(insertion: Insertion, write: str, rows: int, places: Iterator[int]) -> Insert | Update:
    if write == "save_conversation":
        return _save_conversation(places)
    insert = _insert(insertion, write, rows, places)
    if write in {"keep_turns", "keep_attempts"}:
        return _upsert(insert, _TABLES[write])
    if write == "claim_key" and isinstance(insert, sqlite.Insert):
        return insert.on_conflict_do_nothing()
    return insert


def _insert(insertion: Insertion, write: str, rows: int, places: Iterator[int]) -> Insert:
    table = _TABLES[write]
    width = OUTBOX_COLUMNS_WRITTEN if write == "add_events" else len(table.c)
    columns = list(table.c)[:width]
    return insertion(table).values(
        [{column.name: _parameter(column, places) for column in columns} for _ in range(rows)]
    )


def _parameter(column: Column[Any], places: Iterator[int]) -> BindParameter[Any]:
    return bindparam(f"v{next(places)}", type_=column.type)


def _upsert(insert: Insert, table: Table) -> Insert:
    key = [column.name for column in table.primary_key]
    changing = {
        column.name: insert.excluded[column.name] for column in table.c if column.name not in key
    }
    return insert.on_conflict_do_update(index_elements=key, set_=changing)


def _save_conversation(places: Iterator[int]) -> Update:
    """Compare the version that was loaded, which is one less than the version in the row."""
    given = {column.name: _parameter(column, places) for column in conversations.c}
    return (
        update(conversations)
        .where(
            conversations.c.tenant_id == given["tenant_id"],
            conversations.c.id == given["id"],
            conversations.c.version + literal_column("1") == given["version"],
        )
        .values({column: given[column] for column in CHANGING_COLUMNS})
    )
