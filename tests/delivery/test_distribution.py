"""The trial of the wheel notices a wheel that is not whole; `make check-dist` runs all of it."""

import zipfile
from pathlib import Path

import pytest

from infrastructure.delivery.distribution import ROOT, DistributionError, check_contents


def wheel(folder: Path, left_out: str = "", added: str = "") -> Path:
    """Zip the package as it is, but for a file."""
    built = folder / "prosa-0.1.0-py3-none-any.whl"
    with zipfile.ZipFile(built, "w") as package:
        for path in (ROOT / "prosa").rglob("*"):
            if path.is_file() and path.suffix != ".pyc" and not str(path).endswith(left_out or "/"):
                package.write(path, path.relative_to(ROOT))
        if added:
            package.writestr(added, "")
    return built


def test_a_wheel_with_all_files_passes(tmp_path: Path) -> None:
    check_contents(wheel(tmp_path))


def test_a_file_that_is_missing_is_named(tmp_path: Path) -> None:
    with pytest.raises(DistributionError, match=r"prosa/py\.typed"):
        check_contents(wheel(tmp_path, left_out="prosa/py.typed"))


def test_a_file_too_many_is_named(tmp_path: Path) -> None:
    with pytest.raises(DistributionError, match=r"prosa/notes\.txt"):
        check_contents(wheel(tmp_path, added="prosa/notes.txt"))
