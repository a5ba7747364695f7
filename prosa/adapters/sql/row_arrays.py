"""Rows as Postgres is given any number of them: a JSON array of objects, by one parameter.

Fields are named by their places in a row, `c0`, `c1` and so on: `given_rows` reads them.
"""

from collections.abc import Iterable, Sequence

import orjson

from prosa.adapters.sql.dialect import Row

_FIELDS = tuple(f"c{place}" for place in range(32))
"""More than any row has."""


def objects_of(rows: Sequence[Row]) -> bytes:
    """Write rows as objects, without an array's brackets, so that they can be joined to others."""
    return orjson.dumps([dict(zip(_FIELDS, row, strict=False)) for row in rows])[1:-1]


def array_of(objects: Iterable[bytes]) -> str:
    """Join objects to one array."""
    return (b"[%b]" % b",".join(objects)).decode()
