"""What a save writes: all of a unit of work together, or nothing of it."""

from enum import StrEnum
from itertools import chain

from prosa.adapters.sql.compiled import compiled
from prosa.adapters.sql.connection import SqlConnection
from prosa.adapters.sql.dialect import SQLITE, Row
from prosa.adapters.sql.driver_errors import FIRST
from prosa.adapters.sql.row_mapping import PLACE_OF_KEY
from prosa.application.ports.unit_of_work import VersionConflict
from prosa.domain.errors import KeyTaken


class Write(StrEnum):
    """One kind of write, in the order in which they must run: what is referred to comes first."""

    ADD_CONVERSATION = "add_conversation"
    SAVE_CONVERSATION = "save_conversation"
    ADD_MESSAGES = "add_messages"
    KEEP_TURNS = "keep_turns"
    KEEP_ATTEMPTS = "keep_attempts"
    ADD_USAGE = "add_usage"
    ADD_EVENTS = "add_events"
    CLAIM_KEY = "claim_key"


Rows = dict[Write, list[Row]]


def key_of(rows: Rows) -> str:
    """Give the idempotency key that is claimed."""
    return str(rows[Write.CLAIM_KEY][0][PLACE_OF_KEY])


async def save_in_a_transaction(connection: SqlConnection, rows: Rows) -> None:
    """Write the rows to SQLite, which has no network: one kind after the other.

    Statements are compiled once for each kind and number of rows. Raises KeyTaken, VersionConflict,
    and what the driver raises.
    """
    async with connection.transaction():
        for write in Write:
            if found := rows.get(write):
                await _write(connection, write, found, rows)


async def _write(connection: SqlConnection, write: Write, found: list[Row], rows: Rows) -> None:
    statement = compiled(SQLITE, "saving.alone", write.value, len(found))
    values = tuple(chain.from_iterable(found))
    places = (int(name.removeprefix("v")) for name in statement.names)
    written = await connection.fetch(statement.sql, tuple(values[place] for place in places))
    if write is Write.SAVE_CONVERSATION and not written:
        raise VersionConflict(FIRST)
    if write is Write.CLAIM_KEY and not written:
        raise KeyTaken(key_of(rows))
