"""Which statements are compiled for Postgres beforehand: all that an ordinary turn needs."""

from collections.abc import Iterator
from dataclasses import asdict
from itertools import product

from prosa.adapters.sql.compiled import call_of
from prosa.adapters.sql.compiling import compile_statement
from prosa.adapters.sql.dialect import POSTGRES, Argument
from prosa.adapters.sql.saving import Write

USUAL = (
    "attempts.get",
    "conversations.one",
    "conversations.turn",
    "deliveries.add",
    "deliveries.find",
    "expired_turns.find",
    "loading.by_id",
    "loading.by_turn",
    "outbox.backlog",
    "outbox.mark_failed",
    "outbox.mark_published_of_array",
    "outbox.take",
    "outbox.unpark",
    "requests.find",
)
"""What depends on nothing."""

MOST_CALLS = 4
"""How many an attempt makes at most."""

Shape = tuple[tuple[str, int], ...]


def compiled_beforehand() -> dict[str, dict[str, object]]:
    """Compile for Postgres what the file is to hold."""
    return {
        call_of(name, *arguments): asdict(compile_statement(POSTGRES, name, *arguments))
        for name, *arguments in _usual()
    }


def _usual() -> Iterator[tuple[str, *tuple[Argument, ...]]]:
    yield from ((name,) for name in USUAL)
    yield from (("saving.at_once", shape) for shape in _saves())
    for behind, ascending in product((False, True), repeat=2):
        yield "conversations.messages_of", behind, ascending
        yield "conversations.many", (), behind, ascending


def _saves() -> Iterator[Shape]:
    """List what use cases save, for one turn at a time: how many rows of which kind."""
    new, known = Write.ADD_CONVERSATION, Write.SAVE_CONVERSATION
    for claims in (0, 1):
        yield _shape(new, events=1, claims=claims)  # started
        yield _shape(new, messages=1, turns=1, events=2, claims=claims)  # accepted
        yield _shape(known, messages=1, turns=1, events=1, claims=claims)
        yield _shape(new, messages=2, turns=1, attempts=1, events=3, claims=claims)  # blocked
        yield _shape(known, messages=2, turns=1, attempts=1, events=2, claims=claims)
    yield _shape(attempts=1)  # between two steps
    for calls in range(MOST_CALLS + 1):
        yield _shape(known, messages=1, turns=1, attempts=1, calls=calls, events=1)  # recorded
        yield _shape(known, turns=1, attempts=1, calls=calls, events=1)  # failed
    yield _shape(known, turns=1, events=1)  # claimed again
    yield _shape(known, events=1)  # closed


def _shape(
    conversation: Write | None = None,
    *,
    messages: int = 0,
    turns: int = 0,
    attempts: int = 0,
    calls: int = 0,
    events: int = 0,
    claims: int = 0,
) -> Shape:
    """Write a shape as `saving` does, in the order of its writes."""
    rows = {
        conversation: 1,
        Write.ADD_MESSAGES: messages,
        Write.KEEP_TURNS: turns,
        Write.KEEP_ATTEMPTS: attempts,
        Write.ADD_USAGE: calls,
        Write.ADD_EVENTS: events,
        Write.CLAIM_KEY: claims,
    }
    return tuple((write.value, count) for write, count in rows.items() if write and count)
