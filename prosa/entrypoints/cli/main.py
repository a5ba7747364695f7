"""Runs the command that the arguments name, and says in one sentence what went wrong.

Exit codes: 0 it worked, 1 it did not, 2 the arguments are wrong.
"""

import sys

from prosa.domain.errors import ProsaError

_PACKAGES = frozenset({"typer", "rich"})


def main() -> None:
    """Run a command and exit."""
    try:
        # Only here, so that a missing package becomes a sentence.
        from prosa.entrypoints.cli.commands import app  # noqa: PLC0415 - needs an extra
    except ModuleNotFoundError as error:
        if error.name not in _PACKAGES:
            raise
        sys.exit(f"prosa: the command line needs {error.name}: install prosa[cli]")
    try:
        app()
    except ProsaError as error:
        sys.exit(f"prosa: {error}")
