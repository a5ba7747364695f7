"""Writes the client without asyncio from the one with it: `python -m tests.client.generation`."""

import re
import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).parents[2] / "prosa" / "client"
SOURCE = FOLDER / "asynchronous.py"
GENERATED = FOLDER / "synchronous.py"

OPENING = '''"""The client without asyncio.

Generated from `asynchronous.py`: change that, then `make format`.
"""'''

WORDS = {
    r'\A""".*?"""': OPENING,
    r"asyncio\.sleep": "time.sleep",
    r"import asyncio": "import time",
    r"AsyncGenerator\[(\w+), None\]": r"Generator[\1, None, None]",
    r"Awaitable\[(\w+)\]": r"\1",
    r"Awaitable, ": "",
    r"`async with`": "`with`",
    r"async (def|for|with) ": r"\1 ",
    r"await ": "",
    r"\b(Abstract)?Async([A-Z])": r"\1\2",
    r"\basynccontextmanager": "contextmanager",
    r"\basync_(begun)\b": r"\1",
    r"\ba(closing|close|read)\b": r"\1",
    r"__a(enter|exit)__": r"__\1__",
    r"any number of tasks": "any number of threads",
}
"""What is written otherwise, in this order."""


def synchronous(source: str) -> str:
    """Write the source without asyncio."""
    for found, written in WORDS.items():
        source = re.sub(found, written, source, flags=re.DOTALL)
    return _formatted(source)


def _formatted(source: str) -> str:
    for command in (("check", "--fix-only", "--quiet", "--select", "I"), ("format", "--quiet")):
        source = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--stdin-filename", str(GENERATED), "-"],
            capture_output=True,
            check=True,
            encoding="utf-8",
            input=source,
            timeout=60,
        ).stdout
    return source


if __name__ == "__main__":
    GENERATED.write_text(synchronous(SOURCE.read_text("utf-8")), "utf-8")
