"""Functions as they are deployed: a folder with what they need, compiled, and nothing around it.

What else this environment has would be found, looked through, or even loaded: httpx, say, loads
rich where that is there.
"""

import shutil
import sysconfig
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from benchmarks import children
from benchmarks.children import BenchmarkError
from infrastructure.lambda_packages import PackageError, Target, fill

_OF_THE_RUNTIME: Final = ("awslambdaric", "runtime_client", "simplejson", "snapshot_restore_py")
_OF_THE_FLOOR: Final = ("asyncpg", "fastapi", "httpx", "mangum")
_SECONDS: Final = 120


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployed:
    """Where Prosa's functions find their modules, and the floor's, as PYTHONPATH says it."""

    prosa: str
    floor: str


def deploy(scratch: Path) -> Deployed:
    """Put both together, of what uv has in its cache where that is enough."""
    runtime = _runtime(scratch / "runtime")
    prosa, floor = scratch / "prosa", scratch / "floor"
    try:
        fill("http", prosa, Target())
    except PackageError as error:
        raise BenchmarkError(str(error)) from error
    install = ("-m", "uv", "pip", "install", "--quiet", "--target", str(floor))
    constraints = ("--constraint", str(children.ROOT / "requirements" / "dev.txt"))
    _run(scratch, *install, *constraints, *_OF_THE_FLOOR)
    shutil.copytree(children.ROOT / "benchmarks" / "floors", floor / "benchmarks" / "floors")
    _run(scratch, "-m", "compileall", "-q", "--invalidation-mode", "unchecked-hash", str(floor))
    return Deployed(prosa=f"{prosa}:{runtime}", floor=f"{floor}:{runtime}")


def _run(scratch: Path, *arguments: str) -> None:
    # Compiled modules belong beside their sources here.
    settings = {"PYTHONPYCACHEPREFIX": ""}
    children.run(children.python(*arguments), scratch=scratch, settings=settings, seconds=_SECONDS)


def _runtime(folder: Path) -> Path:
    """Copy what Lambda's runtime has of its own, compiled as it is there."""
    folder.mkdir()
    packages = Path(sysconfig.get_path("purelib"))
    for name in _OF_THE_RUNTIME:
        for found in packages.glob(f"{name}*"):
            to = folder / found.name
            shutil.copytree(found, to) if found.is_dir() else shutil.copy(found, to)
    _run(folder, "-m", "compileall", "-q", str(folder))
    return folder
