"""Writes the statements that are compiled beforehand: `make statements`."""

import json
from importlib import resources
from pathlib import Path

from prosa.adapters.sql.compiled import FILE
from prosa.adapters.sql.usual_statements import compiled_beforehand

WRITTEN = Path(str(resources.files("prosa.adapters.sql").joinpath(FILE)))


def content() -> str:
    """Compile them, and write them as the file has them."""
    return json.dumps(compiled_beforehand(), ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":
    WRITTEN.write_text(content(), encoding="utf-8")
