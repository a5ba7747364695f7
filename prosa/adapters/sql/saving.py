"""What a save writes: all of a unit of work together, or nothing of it."""

from itertools import chain
from typing import Final

from prosa.adapters.sql.compiled import compiled
from prosa.adapters.sql.connection import SqlConnection
from prosa.adapters.sql.dialect import SQLITE, Row
from prosa.adapters.sql.driver_errors import FIRST
from prosa.adapters.sql.row_mapping import PLACE_OF_KEY
from prosa.application.ports.unit_of_work import VersionConflict
from prosa.domain.errors import KeyTaken


class Write:
    """The kinds of writes. Plain texts: an enum's members are hashed by Python, often in a turn."""

    ADD_CONVERSATION: Final = "add_conversation"
    SAVE_CONVERSATION: Final = "save_conversation"
    ADD_MESSAGES: Final = "add_messages"
    KEEP_TURNS: Final = "keep_turns"
    KEEP_ATTEMPTS: Final = "keep_attempts"
    ADD_USAGE: Final = "add_usage"
    ADD_EVENTS: Final = "add_events"
    CLAIM_KEY: Final = "claim_key"


IN_ORDER: Final = (
    Write.ADD_CONVERSATION,
    Write.SAVE_CONVERSATION,
    Write.ADD_MESSAGES,
    Write.KEEP_TURNS,
    Write.KEEP_ATTEMPTS,
    Write.ADD_USAGE,
    Write.ADD_EVENTS,
    Write.CLAIM_KEY,
)
"""All kinds in the order in which they must run: what is referred to comes first."""

Rows = dict[str, list[Row]]
"""By the kind of write."""


def key_of(rows: Rows) -> str:
    """Give the idempotency key that is claimed."""
    return str(rows[Write.CLAIM_KEY][0][PLACE_OF_KEY])


async def save_in_a_transaction(connection: SqlConnection, rows: Rows) -> None:
    """Write the rows to SQLite, which has no network: one kind after the other.

    Statements are compiled once for each kind and number of rows. Raises KeyTaken, VersionConflict,
    and what the driver raises.
    """
    async with connection.transaction():
        for write in IN_ORDER:
            if found := rows.get(write):
                await _write(connection, write, found, rows)


async def _write(connection: SqlConnection, write: str, found: list[Row], rows: Rows) -> None:
    statement = compiled(SQLITE, "saving.alone", write, len(found))
    values = tuple(chain.from_iterable(found))
    places = (int(name.removeprefix("v")) for name in statement.names)
    written = await connection.fetch(statement.sql, tuple(values[place] for place in places))
    if write == Write.SAVE_CONVERSATION and not written:
        raise VersionConflict(FIRST)
    if write == Write.CLAIM_KEY and not written:
        raise KeyTaken(key_of(rows))
