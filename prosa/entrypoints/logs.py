"""Logging, set up once by each entrypoint: one line an event, to standard error.

Prosa's own events follow PROSA_LOG_LEVEL. Of other packages only warnings are shown, whatever the
level: at DEBUG, clients and drivers write down requests and statements, and with them messages.
"""

import logging.config
from typing import Any


def log_configuration(level: str, *, at_least: str = "NOTSET") -> dict[str, Any]:
    """Describe the logging for `logging.config`, and for whoever starts processes of its own.

    Nothing below `at_least` is shown, whoever logs it.
    """
    return {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
        "handlers": {
            "stderr": {"class": "logging.StreamHandler", "formatter": "line", "level": at_least}
        },
        "root": {"level": "WARNING", "handlers": ["stderr"]},
        "loggers": {"prosa": {"level": level}},
    }


def set_up_logging(level: str, *, at_least: str = "NOTSET") -> None:
    """Set up this process's logging."""
    logging.config.dictConfig(log_configuration(level, at_least=at_least))
