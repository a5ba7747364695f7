"""A Postgres address as asyncpg has it.

The usual ones are read without SQLAlchemy, which is slow to load.
"""

import re
from typing import Any
from urllib.parse import parse_qs, unquote

from prosa.domain.errors import ConfigurationError

UNREADABLE = (
    "the database's address cannot be read: "
    "write sqlite+aiosqlite:///FILE or postgresql+asyncpg://USER:PASSWORD@HOST/NAME"
)

_USUAL = re.compile(
    r"postgresql\+asyncpg://"
    r"(?:(?P<user>[^:/]*)(?::(?P<password>[^@]*))?@)?"
    r"(?P<host>[^\[/:?]+)?(?::(?P<port>\d+))?"
    r"(?:/(?P<database>[^?]*))?"
    r"(?:\?(?P<query>.*))?"
)
_QUOTED = ("user", "password", "database")


def connect_options(address: str) -> dict[str, Any]:
    """Read what `asyncpg.connect` is to be told, as SQLAlchemy reads it.

    What stands behind the question mark goes to asyncpg by its name: `ssl=verify-full`.
    Raises ConfigurationError.
    """
    found = _USUAL.fullmatch(address)
    query = parse_qs(found["query"]) if found and found["query"] else {}
    if found is None or _names_hosts(query):
        return _by_sqlalchemy(address)
    options: dict[str, Any] = {name: unquote(found[name]) for name in _QUOTED if found[name]}
    if found["host"]:
        options["host"] = found["host"]
    if found["port"]:
        options["port"] = int(found["port"])
    return options | {name: values[0] for name, values in query.items()}


def _names_hosts(query: dict[str, list[str]]) -> bool:
    """Whether it names several hosts, or ports beside them, or anything else twice."""
    (host, *_) = query.get("host", [""])
    twice = any(len(values) > 1 for values in query.values())
    return twice or "port" in query or ":" in host or "," in host


def _by_sqlalchemy(address: str) -> dict[str, Any]:
    from sqlalchemy import make_url  # noqa: PLC0415 - see above
    from sqlalchemy.dialects.postgresql.asyncpg import PGDialect_asyncpg  # noqa: PLC0415 - see above
    from sqlalchemy.exc import ArgumentError  # noqa: PLC0415 - see above

    dialect: Any = PGDialect_asyncpg()  # type: ignore[no-untyped-call] # SQLAlchemy has no types there
    try:
        _, options = dialect.create_connect_args(make_url(address))
    except (ArgumentError, ValueError):
        # Without the cause: it may quote the address, and with it the password.
        raise ConfigurationError(UNREADABLE) from None
    return dict(options)
