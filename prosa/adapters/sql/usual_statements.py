"""Which statements are compiled for Postgres beforehand: all that an ordinary turn needs."""

from collections.abc import Iterator
from dataclasses import asdict
from itertools import product

from prosa.adapters.sql.compiled import call_of
from prosa.adapters.sql.compiling import compile_statement
from prosa.adapters.sql.dialect import POSTGRES, Argument

USUAL = (
    "attempts.get",
    "conversations.one",
    "conversations.turn",
    "deliveries.add",
    "deliveries.find",
    "expired_turns.find",
    "loading.by_turn",
    "loading.of_array",
    "outbox.backlog",
    "outbox.mark_failed",
    "outbox.mark_published_of_array",
    "outbox.take",
    "outbox.unpark",
    "requests.find",
    "saving.of_arrays",
)
"""What depends on nothing."""


def compiled_beforehand() -> dict[str, dict[str, object]]:
    """Compile for Postgres what the file is to hold."""
    return {
        call_of(name, *arguments): asdict(compile_statement(POSTGRES, name, *arguments))
        for name, *arguments in _usual()
    }


def _usual() -> Iterator[tuple[str, *tuple[Argument, ...]]]:
    yield from ((name,) for name in USUAL)
    for behind, ascending in product((False, True), repeat=2):
        yield "conversations.messages_of", behind, ascending
        yield "conversations.many", (), behind, ascending
