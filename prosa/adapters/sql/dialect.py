"""What differs between Postgres and SQLite, and what a compiled statement is.

Values come out as the drivers have them, JSON as text, and go in as `json` and `instant` make them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeVar

import orjson

T = TypeVar("T")

Json = Any
"""What `orjson.loads` returns."""

Value = str | int | float | bool | datetime | list[str] | None
Row = tuple[Value | Json, ...]
Argument = str | bool | int | tuple[str, ...]
"""What a statement's text may depend on."""


def iso_text(instant: datetime | None) -> str | None:
    """Write an instant so that texts sort as instants do."""
    return None if instant is None else instant.isoformat(timespec="microseconds")


def json_text(value: Json) -> str:
    """Write JSON text."""
    return orjson.dumps(value).decode()


def _as_it_is(value: T) -> T:
    return value


@dataclass(frozen=True, slots=True, eq=False)
class SqlDialect:
    """One of the two dialects."""

    is_postgres: bool
    instant: Callable[[datetime | None], Value]
    """Makes an instant what the driver takes for one."""
    json: Callable[[Json], Json]
    """Makes of JSON what a save takes: text, or, where all of it is JSON, what it is."""
    find_revisions: str
    """Selects a row where the table of migrations exists."""


POSTGRES = SqlDialect(
    is_postgres=True,
    instant=_as_it_is,
    json=_as_it_is,
    find_revisions="select 1 from pg_tables where tablename = 'alembic_version'"
    " and schemaname = any(current_schemas(false))",
)
SQLITE = SqlDialect(
    is_postgres=False,
    instant=iso_text,
    json=json_text,
    find_revisions="select 1 from sqlite_master where name = 'alembic_version'",
)


@dataclass(frozen=True, slots=True)
class Statement:
    """A compiled statement: `names` says which value goes where, `fixed` has those it brought."""

    sql: str
    names: tuple[str, ...]
    fixed: dict[str, Any]

    def values(self, **given: Value) -> Row:
        """Put values by name in the order that the statement wants."""
        known = {**self.fixed, **given}
        return tuple(known[name] for name in self.names)
