"""Plants each bug in a copy of the code, and sees whether the tests notice.

By hand: python -m tests.faults.seeded_bugs, or with the names of some: … "no fence". Exits with 1
where a test stays green with its bug, is red without it, or where a bug no longer applies.
"""

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.faults.seeded_bugs.bugs import Bug, Edit, load_bugs

ROOT = Path(__file__).parents[3]
COPIED = (
    "prosa",
    "embedded_aws",
    "tests",
    "docs",
    "infrastructure",
    "pyproject.toml",
    ".importlinter",
    "ARCHITECTURE.md",
)
STATE_MACHINE = "tests/faults/test_state_machine.py"
AT_ONCE = 2
SECONDS = 300

PASSED, FAILED = 0, 1
"""How pytest ends; anything else is no verdict: https://docs.pytest.org/en/stable/reference/exit-codes.html"""

SAYS_WHY = ("E  ", "AssertionError", "| AssertionError")
"""How pytest begins the line that says what is wrong."""


class BugError(Exception):
    """A bug cannot be planted, or a test gives no verdict."""


def main() -> None:
    """Try the bugs that are named, or all of them."""
    names, bugs = sys.argv[1:], load_bugs()
    chosen = [bug for bug in bugs if not names or bug.name in names]
    if unknown := set(names) - {bug.name for bug in bugs}:
        sys.exit(f"there is no bug {', '.join(sorted(unknown))}")
    with tempfile.TemporaryDirectory(prefix="prosa-bugs-") as folder:
        sys.exit(try_all(chosen, Path(folder)))


def try_all(bugs: Sequence[Bug], folder: Path) -> int:
    """Print what comes of each bug; give 1 where any is not noticed."""
    healthy = copied(folder / "healthy")
    if why := why_red(healthy, sorted({bug.red for bug in bugs})):
        say(f"The tests are red without any bug; first mend them: {why}")
        return 1
    with ThreadPoolExecutor(AT_ONCE) as pool:
        places = (folder / f"bug-{number}" for number in range(len(bugs)))
        verdicts = list(pool.map(try_one, bugs, places))
    unnoticed = verdicts.count(False)
    say(f"{len(bugs)} bugs, {unnoticed} of them not noticed")
    return int(unnoticed > 0)


def try_one(bug: Bug, folder: Path) -> bool:
    """Plant a bug, and tell whether its test is red."""
    try:
        copied(folder)
        for edit in bug.edits:
            plant(edit, folder)
        why = why_red(folder, [bug.red])
        say(f"{'red  ' if why else 'GREEN'}  {bug.name:45}  {bug.red}\n         {why or ''}")
    except BugError as error:
        say(f"ERROR  {bug.name:45}  {error}")
        return False
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return why is not None


def copied(folder: Path) -> Path:
    """Copy what the tests need."""
    folder.mkdir()
    ignored = shutil.ignore_patterns("__pycache__")
    for name in COPIED:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=ignored)
        else:
            shutil.copy(ROOT / name, folder / name)
    return folder


def plant(edit: Edit, folder: Path) -> None:
    """Replace a piece of a file. Raises BugError where it is not there exactly once."""
    file = folder / edit.file
    text = file.read_text()
    if text.count(edit.old) != 1:
        raise BugError(f"{edit.file} has changed: the bug no longer applies")
    file.write_text(text.replace(edit.old, edit.new))


def why_red(folder: Path, tests: Sequence[str]) -> str | None:
    """Run tests on a copy; say what the first that is red says, or give None where all are green.

    Raises BugError where they give no verdict.
    """
    environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
    options = ["-q", "-x", "-p", "no:cacheprovider"]
    if any(test.startswith(STATE_MACHINE) for test in tests):
        options.append("--hypothesis-profile=seeded-bugs")
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", *options, *tests],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=SECONDS,
    )
    if ended.returncode not in {PASSED, FAILED}:
        raise BugError(f"pytest gave no verdict: {ended.stdout[-1500:]}{ended.stderr[-500:]}")
    if ended.returncode == PASSED:
        return None
    said = (line.strip() for line in ended.stdout.splitlines())
    return next((line[:160] for line in said if line.startswith(SAYS_WHY)), "it does not say why")


def say(text: str) -> None:
    """Print a line at once."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
