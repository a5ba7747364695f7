"""Compiles statements by SQLAlchemy; loaded where one was not compiled beforehand."""

from functools import cache
from importlib import import_module

from sqlalchemy.engine import Dialect
from sqlalchemy.sql.compiler import SQLCompiler

from prosa.adapters.sql.dialect import Argument, SqlDialect, Statement


def compile_statement(dialect: SqlDialect, name: str, *arguments: Argument) -> Statement:
    """Build a statement and compile it."""
    module, _, function = name.partition(".")
    build = getattr(import_module(f"prosa.adapters.sql.statements.{module}"), function)
    result = build(*arguments).compile(dialect=_vendor(dialect))
    if not isinstance(result, SQLCompiler):
        raise TypeError(f"{name} builds no statement")
    return Statement(str(result), tuple(result.positiontup or ()), dict(result.params))


@cache
def _vendor(dialect: SqlDialect) -> Dialect:
    """Load SQLAlchemy's own; the other database's is not loaded."""
    if dialect.is_postgres:
        from sqlalchemy.dialects.postgresql.asyncpg import (  # noqa: PLC0415 - only the one in use
            PGDialect_asyncpg,
        )

        return PGDialect_asyncpg()  # type: ignore[no-untyped-call] # SQLAlchemy has no types there
    from sqlalchemy.dialects.sqlite.aiosqlite import (  # noqa: PLC0415 - only the one in use
        SQLiteDialect_aiosqlite,
    )

    return SQLiteDialect_aiosqlite()
