"""Spans of what a database is asked: without statements, values or addresses."""

from collections.abc import Coroutine
from typing import Any, TypeVar

from opentelemetry.trace import SpanKind

from prosa.adapters.opentelemetry import names
from prosa.adapters.opentelemetry.spans import Block, Tracing, is_kept

T = TypeVar("T")


class DatabaseSpans:
    """Makes spans of what a database is asked."""

    def __init__(self, tracing: Tracing, database: str) -> None:
        """`database` is what the conventions call it: `postgresql`, `sqlite`."""
        self._tracing = tracing
        self._attributes = {names.DB_SYSTEM: database}

    def __call__(self, name: str) -> Block:
        """Make one."""
        return self._tracing.step(name, SpanKind.CLIENT, self._attributes)

    def of(self, name: str, work: Coroutine[Any, Any, T]) -> Coroutine[Any, Any, T]:
        """Give work that was not begun yet a span; where no trace is kept, leave it as it is."""
        return self._seen(name, work) if is_kept() else work

    async def _seen(self, name: str, work: Coroutine[Any, Any, T]) -> T:
        with self(name):
            return await work
