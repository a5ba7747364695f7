"""What a database's tables ask of who writes and reads them, and what a migration changed of it."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, inspect, text

KEPT_BY_ALEMBIC = "alembic_version"
HIDES_ROWS = "select relname from pg_class where relrowsecurity"

Column = dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableShape:
    """A table: its columns by name, and each rule about its rows, written out."""

    columns: dict[str, Column]
    rules: frozenset[str]


Schema = dict[str, TableShape]


def schema_of(connection: Connection) -> Schema:
    """Look at the tables of a database, but for Alembic's."""
    tables = set(inspect(connection).get_table_names()) - {KEPT_BY_ALEMBIC}
    hiding = _hiding_rows(connection)
    return {name: _shape_of(connection, name, hides_rows=name in hiding) for name in tables}


def _hiding_rows(connection: Connection) -> set[str]:
    if connection.dialect.name != "postgresql":
        return set()
    return set(connection.scalars(text(HIDES_ROWS)))


def _shape_of(connection: Connection, table: str, *, hides_rows: bool) -> TableShape:
    look = inspect(connection)
    unique: list[object] = [one["column_names"] for one in look.get_unique_constraints(table)]
    unique += [one["column_names"] for one in look.get_indexes(table) if one["unique"]]
    foreign = look.get_foreign_keys(table)
    rules = [
        f"primary key {look.get_pk_constraint(table)['constrained_columns']}",
        *(f"unique {columns}" for columns in unique),
        *(f"{one['constrained_columns']} are in {one['referred_table']}" for one in foreign),
        *(f"check {one['sqltext']}" for one in look.get_check_constraints(table)),
        *(["row level security"] if hides_rows else []),
    ]
    columns = {one["name"]: dict(one) for one in look.get_columns(table)}
    return TableShape(columns=columns, rules=frozenset(rules))


def taken_away(before: Schema, after: Schema) -> list[str]:
    """Say what a version that knows the tables from before would miss, or break."""
    return [
        one
        for name, shape in before.items()
        for one in (_missed(name, shape, after[name]) if name in after else (f"{name} is gone",))
    ]


def _missed(table: str, before: TableShape, after: TableShape) -> Iterator[str]:
    for name, column in before.columns.items():
        found = after.columns.get(name)
        yield from (
            _changed(f"{table}.{name}", column, found) if found else (f"{table}.{name} is gone",)
        )
    for name in after.columns.keys() - before.columns.keys():
        if _has_to_be_written(after.columns[name]):
            yield f"{table}.{name} is new, and has to be written"
    for rule in after.rules - before.rules:
        yield f"{table} has a new rule: {rule}"


def _changed(place: str, before: Column, after: Column) -> Iterator[str]:
    if str(before["type"]) != str(after["type"]):
        yield f"{place} is {after['type']} and was {before['type']}"
    if _has_to_be_written(after) and not _has_to_be_written(before):
        yield f"{place} has to be written, and had not"


def _has_to_be_written(column: Column) -> bool:
    return not column["nullable"] and column["default"] is None
