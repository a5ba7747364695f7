"""The save: all that units of work write, kind by kind."""

from collections.abc import Iterator, Sequence
from itertools import count
from typing import Any, TypeVar

from sqlalchemy import (
    CTE,
    BindParameter,
    Column,
    ColumnElement,
    Integer,
    Label,
    Select,
    Table,
    TableValuedAlias,
    Update,
    bindparam,
    cast,
    func,
    literal_column,
    select,
    update,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.sql.dml import ReturningInsert, ReturningUpdate

from prosa.adapters.sql.statements.elements import given_rows
from prosa.adapters.sql.tables import (
    attempts,
    conversations,
    messages,
    outbox,
    requests,
    turns,
    usage,
)

AnyInsert = TypeVar("AnyInsert", postgresql.Insert, sqlite.Insert)

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


def of_arrays() -> Select[Any]:
    """Write any number of rows of any kind in one statement, for Postgres.

    Each kind of write is a parameter of its own name. `saved` is how many conversations have to be
    there in the version before: the final select divides by zero where one is not, so that all is
    undone.
    """
    ctes = {write: _write_of_array(write) for write in _TABLES}
    saved = select(func.count()).select_from(ctes["save_conversation"]).scalar_subquery()
    proof = literal_column("1") / cast(saved == bindparam("saved", type_=Integer()), Integer)
    return select(proof).add_cte(*ctes.values())


def alone(write: str, rows: int) -> ReturningInsert[Any] | ReturningUpdate[Any]:
    """Write rows of one kind, for SQLite.

    Parameters are named `v0`, `v1` and so on, by the place of their values where all values of all
    rows stand one after the other.
    """
    return _writing(write, rows).returning(literal_column("1").label("written"))


def _write_of_array(write: str) -> CTE:
    columns = _columns(write)
    given = given_rows(write, [column.type for column in columns])
    rows = select(*given.c)
    if write == "save_conversation":
        rows = rows.where(_is_one_less(given))
    insert = postgresql.insert(_TABLES[write]).from_select([str(c.name) for c in columns], rows)
    if write == "save_conversation":
        saved: Label[Any] = literal_column("1").label("saved")
        return _change(insert, CHANGING_COLUMNS).returning(saved).cte(write)
    return _kept(write, insert).cte(write)


def _is_one_less(given: TableValuedAlias) -> ColumnElement[bool]:
    """Tell whether the version in the table is the one before, and lock it.

    What was deleted meanwhile has none, and so is not brought back by the insert. A sub-select by
    the full key and no join, which Postgres might plan to read the whole table while it is small.
    """
    version = (
        select(conversations.c.version)
        .where(conversations.c.tenant_id == given.c.c0, conversations.c.id == given.c.c1)
        .with_for_update(key_share=True)
        .scalar_subquery()
    )
    new_version = list(given.c)[list(conversations.c).index(conversations.c.version)]
    return new_version == version + literal_column("1")


def _columns(write: str) -> list[Column[Any]]:
    columns = list(_TABLES[write].c)
    return columns[:OUTBOX_COLUMNS_WRITTEN] if write == "add_events" else columns


def _writing(write: str, rows: int) -> sqlite.Insert | Update:
    places = count()
    if write == "save_conversation":
        return _save_conversation(places)
    columns = _columns(write)
    insert = sqlite.insert(_TABLES[write]).values(
        [{column.name: _parameter(column, places) for column in columns} for _ in range(rows)]
    )
    return insert.on_conflict_do_nothing() if write == "claim_key" else _kept(write, insert)


def _parameter(column: Column[Any], places: Iterator[int]) -> BindParameter[Any]:
    return bindparam(f"v{next(places)}", type_=column.type)


def _kept(write: str, insert: AnyInsert) -> AnyInsert:
    """Have what is kept, and not added, take the place of what was kept before."""
    if write not in {"keep_turns", "keep_attempts"}:
        return insert
    table = _TABLES[write]
    return _change(insert, [column.name for column in table.c if not column.primary_key])


def _change(insert: AnyInsert, names: Sequence[str]) -> AnyInsert:
    key = [column.name for column in insert.table.primary_key]
    changing = {name: insert.excluded[name] for name in names}
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
