"""Writes the OpenAPI document (`make docs`), or keeps what is released (`make released`).

`released/` holds the documents of the last release: what `tests/stability` compares today's with.
"""

import json
import sys
from collections.abc import Iterator
from pathlib import Path

from prosa.bootstrap import bootstrap
from prosa.entrypoints.http.app import create_app

API = Path(__file__).parent
EVENTS = API.parent / "events"
RELEASED = API / "released"
DOCUMENT = API / "openapi.json"


def main() -> None:
    """Write the document, or keep today's documents as the released ones."""
    if sys.argv[1:] != ["--released"]:
        DOCUMENT.write_text(document(), encoding="utf-8")
        return
    for old in RELEASED.glob("*.json"):
        old.unlink()
    for path, text in todays():
        (RELEASED / path.name).write_text(text, encoding="utf-8")


def document() -> str:
    """Describe the HTTP API, as `prosa openapi` does."""
    described = create_app(bootstrap).openapi()
    return json.dumps(described, ensure_ascii=False, indent=2) + "\n"


def todays() -> Iterator[tuple[Path, str]]:
    """Give each committed document with its text: the API's, and each event's."""
    for path in (DOCUMENT, *sorted(EVENTS.glob("*.json"))):
        yield path, path.read_text(encoding="utf-8")


if __name__ == "__main__":
    main()
