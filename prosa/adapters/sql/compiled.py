"""Statements as they are run: compiled once and run often.

For Postgres the usual ones were compiled beforehand, and are read from a file: to load SQLAlchemy
and compile them was a third of what a function does at its start. Any other is compiled when it is
first needed (decision 32).
"""

import json
from functools import cache, lru_cache
from importlib import resources
from typing import Any

from prosa.adapters.sql.dialect import Argument, SqlDialect, Statement

FILE = "compiled_statements.json"


@lru_cache(maxsize=256)
def compiled(dialect: SqlDialect, name: str, *arguments: Argument) -> Statement:
    """Give a statement of `statements/` by its module and function, `outbox.take`."""
    found = _beforehand().get(call_of(name, *arguments)) if dialect.is_postgres else None
    if found is not None:
        return Statement(found["sql"], tuple(found["names"]), found["fixed"])
    from prosa.adapters.sql.compiling import compile_statement  # noqa: PLC0415 - slow to load

    return compile_statement(dialect, name, *arguments)


def call_of(name: str, *arguments: Argument) -> str:
    """Write a statement's name and arguments as the file has them."""
    return f"{name}({', '.join(map(repr, arguments))})"


@cache
def _beforehand() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = json.loads(
        resources.files("prosa.adapters.sql").joinpath(FILE).read_text("utf-8")
    )
    return found
