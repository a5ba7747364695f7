"""Logging, set up once by each entrypoint: one line an event, to standard error.

Prosa's own events follow PROSA_LOG_LEVEL. Of other packages only warnings are shown, whatever the
level: at DEBUG, clients and drivers write down requests and statements, and with them messages.
"""

import json
import logging.config
import re
import sys
import traceback
from datetime import UTC, datetime
from typing import Any

from prosa.adapters.log_context import TRACE_ID, TURN_ID
from prosa.settings import Settings

_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u2028\u2029]")
"""What could move a terminal's cursor or end a line; a line feed is made an indented line."""


def log_configuration(settings: Settings, *, at_least: str = "NOTSET") -> dict[str, Any]:
    """Describe the logging for `logging.config`, and for whoever starts processes of its own.

    Nothing below `at_least` is shown, whoever logs it.
    """
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"text": {"()": TextLines}, "json": {"()": JsonLines}},
        "filters": {"context": {"()": Context}},
        "handlers": {
            "stderr": {
                "class": "logging.StreamHandler",
                "filters": ["context"],
                "formatter": settings.log_format,
                "level": at_least,
            }
        },
        "root": {"level": "WARNING", "handlers": ["stderr"]},
        "loggers": {"prosa": {"level": settings.log_level}},
    }


def set_up_logging(settings: Settings, *, at_least: str = "NOTSET") -> None:
    """Set up this process's logging."""
    logging.config.dictConfig(log_configuration(settings, at_least=at_least))


class Context(logging.Filter):
    """Lets every event through, and has it say to which trace and turn it belongs, if to any.

    For handlers: `trace_id`, `span_id` and `turn_id` become attributes of the record.
    """

    def filter(self, record: logging.LogRecord) -> bool:
        """Find out where it was logged."""
        for name, value in _context().items():
            setattr(record, name, value)
        return True


def _context() -> dict[str, str]:
    trace_id, span_id = _current_span() or (TRACE_ID.get(), None)
    known = {"trace_id": trace_id, "span_id": span_id, "turn_id": TURN_ID.get()}
    return {name: value for name, value in known.items() if value is not None}


def _current_span() -> tuple[str, str] | None:
    """Ask OpenTelemetry where it is in use: who has not loaded it has no span.

    One that is not kept is worth nothing here.
    """
    trace = sys.modules.get("opentelemetry.trace")
    if trace is None:
        return None
    context = trace.get_current_span().get_span_context()
    kept = context.is_valid and context.trace_flags.sampled
    return (f"{context.trace_id:032x}", f"{context.span_id:016x}") if kept else None


class TextLines(logging.Formatter):
    """Lines for people. What goes on over several is indented, so that it passes for no event."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")

    def format(self, record: logging.LogRecord) -> str:
        """Write an event."""
        text = _CONTROL.sub(_escaped, super().format(record))
        return text.replace("\n", "\n    ")


class JsonLines(logging.Formatter):
    """One JSON object a line, in ASCII: no character of an event can end it.

    Of an exception it says the class and the lines of code. What it says may hold anything.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Write an event."""
        written = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname,
            "logger": record.name,
            "message": record.getMessage(),
            **{name: vars(record)[name] for name in _NAMES if name in vars(record)},
            **_error_of(record),
        }
        return json.dumps(written).replace("\x7f", "\\u007f")


_NAMES = ("trace_id", "span_id", "turn_id")


def _error_of(record: logging.LogRecord) -> dict[str, str]:
    if not record.exc_info or record.exc_info[0] is None:
        return {}
    kind, _, frames = record.exc_info
    return {"error": kind.__name__, "stack": "".join(traceback.format_tb(frames))}


def _escaped(found: re.Match[str]) -> str:
    return found[0].encode("unicode_escape").decode()
