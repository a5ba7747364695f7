"""What differs between Postgres and SQLite, and how a statement is compiled once and run often.

SQLAlchemy compiles; the drivers run. Values therefore go in and come out as the drivers have them:
JSON as text, instants as `instant` makes them.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import cache, lru_cache
from typing import Any

from sqlalchemy import ClauseElement
from sqlalchemy.engine import Dialect
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import Text

Value = str | int | float | bool | datetime | list[str] | None
Row = tuple[Value, ...]


def iso_text(instant: datetime | None) -> str | None:
    """Write an instant so that texts sort as instants do."""
    return None if instant is None else instant.isoformat(timespec="microseconds")


def _as_it_is(instant: datetime | None) -> datetime | None:
    return instant


@dataclass(frozen=True, slots=True, eq=False)
class SqlDialect:
    """One of the two dialects."""

    make_vendor: Callable[[], Dialect]
    is_postgres: bool
    instant: Callable[[datetime | None], Value]
    """Makes an instant what the driver takes for one."""
    find_revisions: str
    """Selects a row where the table of migrations exists."""

    @property
    def vendor(self) -> Dialect:
        """SQLAlchemy's own; the other database's is not loaded."""
        return self.make_vendor()


@cache
def _postgres() -> Dialect:
    from sqlalchemy.dialects.postgresql.asyncpg import (  # noqa: PLC0415 - only the one in use
        PGDialect_asyncpg,
    )

    return PGDialect_asyncpg()  # type: ignore[no-untyped-call] # SQLAlchemy has no types there


@cache
def _sqlite() -> Dialect:
    from sqlalchemy.dialects.sqlite.aiosqlite import (  # noqa: PLC0415 - only the one in use
        SQLiteDialect_aiosqlite,
    )

    return SQLiteDialect_aiosqlite()


POSTGRES = SqlDialect(
    make_vendor=_postgres,
    is_postgres=True,
    instant=_as_it_is,
    find_revisions="select 1 from pg_tables where tablename = 'alembic_version'"
    " and schemaname = any(current_schemas(false))",
)
SQLITE = SqlDialect(
    make_vendor=_sqlite,
    is_postgres=False,
    instant=iso_text,
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


@lru_cache(maxsize=256)
def compiled(statement: ClauseElement, dialect: SqlDialect) -> Statement:
    """Compile a statement for a dialect, once."""
    result = statement.compile(dialect=dialect.vendor)
    if not isinstance(result, SQLCompiler):
        raise TypeError(f"{type(statement).__name__} is no statement")
    return Statement(str(result), tuple(result.positiontup or ()), dict(result.params))


class json_array(FunctionElement[Any]):  # noqa: N801  named as SQL functions are
    """A JSON array of its arguments."""

    type = Text()
    inherit_cache = True


class json_rows(FunctionElement[Any]):  # noqa: N801  named as SQL functions are
    """All rows' JSON arrays as one JSON array, in no order; an empty one where there is no row."""

    type = Text()
    inherit_cache = True


class json_value(FunctionElement[Any]):  # noqa: N801  named as SQL functions are
    """A JSON column inside another JSON value, as JSON and not as quoted text."""

    type = Text()
    inherit_cache = True


@compiles(json_array, "postgresql")
def _json_array_postgres(element: json_array, compiler: SQLCompiler, **kw: Any) -> str:
    return f"json_build_array({compiler.process(element.clauses, **kw)})"


@compiles(json_array, "sqlite")
def _json_array_sqlite(element: json_array, compiler: SQLCompiler, **kw: Any) -> str:
    return f"json_array({compiler.process(element.clauses, **kw)})"


@compiles(json_rows, "postgresql")
def _json_rows_postgres(element: json_rows, compiler: SQLCompiler, **kw: Any) -> str:
    return f"coalesce(json_agg({compiler.process(element.clauses, **kw)}), '[]')"


@compiles(json_rows, "sqlite")
def _json_rows_sqlite(element: json_rows, compiler: SQLCompiler, **kw: Any) -> str:
    return f"json_group_array({compiler.process(element.clauses, **kw)})"


@compiles(json_value, "postgresql")
def _json_value_postgres(element: json_value, compiler: SQLCompiler, **kw: Any) -> str:
    return str(compiler.process(element.clauses, **kw))


@compiles(json_value, "sqlite")
def _json_value_sqlite(element: json_value, compiler: SQLCompiler, **kw: Any) -> str:
    return f"json({compiler.process(element.clauses, **kw)})"
