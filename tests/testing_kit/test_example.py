"""examples/prosa-nats is a package like anybody's: built, installed, and green on its own."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

EXAMPLE = Path(__file__).parents[2] / "examples" / "prosa-nats"


def run(*command: str, folder: Path, **variables: str) -> str:
    ended = subprocess.run(
        [sys.executable, "-m", *command],
        capture_output=True,
        check=False,
        cwd=folder,
        encoding="utf-8",
        env={"PATH": os.environ["PATH"], "HOME": str(folder), **variables},
        timeout=90,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


def test_the_example_is_installed_and_passes_its_tests(tmp_path: Path) -> None:
    source, installed = tmp_path / "source", tmp_path / "installed"
    shutil.copytree(EXAMPLE, source, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    alone = ("--no-deps", "--no-build-isolation", "--offline", "--quiet")
    run("uv", "pip", "install", *alone, "--target", str(installed), str(source), folder=tmp_path)
    # What is tested is what was installed.
    shutil.rmtree(source / "prosa_nats")
    said = run("pytest", "-q", "-p", "no:cacheprovider", folder=source, PYTHONPATH=str(installed))
    assert "passed" in said
