"""SQL functions that the two databases write otherwise, and rows that Postgres is given as JSON."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import JSON, Column, TableValuedAlias, bindparam, func
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler
from sqlalchemy.sql.functions import FunctionElement
from sqlalchemy.types import Text, TypeEngine


def given_rows(parameter: str, types: Sequence[TypeEngine[Any]]) -> TableValuedAlias:
    """Read rows from a JSON array of objects, whose fields are named by their places: c0, c1, …."""
    columns = (Column(f"c{place}", of_type) for place, of_type in enumerate(types))
    rows = func.json_to_recordset(bindparam(parameter, type_=JSON()))
    return rows.table_valued(*columns).render_derived(name="given", with_types=True)


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
