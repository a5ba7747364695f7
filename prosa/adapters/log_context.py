"""What a line of the log belongs to: the trace and the turn of the task that writes it.

Context variables: a task has those of the task that made it. Whoever writes lines reads them.
"""

from contextvars import ContextVar

TRACE_ID: ContextVar[str | None] = ContextVar("trace_id", default=None)
"""32 hexadecimal digits."""

TURN_ID: ContextVar[str | None] = ContextVar("turn_id", default=None)
