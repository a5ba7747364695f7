"""The version before this one: its code as git has it, run in processes of its own.

That is the last release. Before there is one, it is the code from right before the newest
migration: what runs while that migration is deployed.
"""

import asyncio
import io
import json
import os
import re
import shutil
import subprocess
import sys
import tarfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from prosa.adapters.sql import migrations
from tests.operations import older_process

ROOT = Path(__file__).parents[2]
VERSIONS = (Path(migrations.__file__).parent / "versions").relative_to(ROOT)
SECONDS = 150
"""Far more than anything here takes, also on a busy machine."""


class NoHistoryError(Exception):
    """There is no older code here. Says why, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviousVersion:
    """Older code in a folder of its own."""

    name: str
    tree: Path

    @property
    def revision(self) -> str:
        """The newest migration that it knows."""
        files = sorted(self.tree.glob(f"{VERSIONS}/[0-9]*.py"))
        (revision,) = re.findall(r'^revision = "(\w+)"$', files[-1].read_text(), re.MULTILINE)
        return str(revision)

    @property
    def takes_newer_databases(self) -> bool:
        """Whether it is from after decision 21. Those before compare revisions to the letter."""
        return "def is_newer(" in (self.tree / "prosa/adapters/sql/database.py").read_text()

    @asynccontextmanager
    async def at_work(self, database_url: str, folder: Path) -> AsyncIterator["OlderProcess"]:
        """Run a process of it on a database; its events are written to `folder/events`."""
        settings = {"PROSA_DATABASE_URL": database_url, "PROSA_MODELS": "scripted"}
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, older_process.__file__, str(folder / "events")),
            cwd=folder,
            env=_environment(self.tree) | settings,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        try:
            older = OlderProcess(process)
            assert await older.next_answer() == str(self.tree / "prosa" / "__init__.py")
            yield older
        finally:
            await _ended(process)

    async def keeps_its_contracts_after_migrating(self, tree: Path) -> None:
        """Have its own tests ask its adapters of databases, in tables that this version makes.

        `tree` is for a copy of it that gets today's migrations.
        """
        shutil.copytree(self.tree, tree)
        shutil.copytree(ROOT / VERSIONS, tree / VERSIONS, dirs_exist_ok=True)
        code, said = await _contracts_of(tree)
        if code == PYTEST_FAILED:
            # Its tests are not ours to mend where they are in a hurry; what is broken stays so.
            code, said = await _contracts_of(tree, "--last-failed")
        assert code == 0, f"{self.name}:\n{said}"


PYTEST_FAILED = 1


async def _contracts_of(tree: Path, *options: str) -> tuple[int | None, str]:
    """Run the contracts of a tree against its databases; give how pytest ends and what it says."""
    contracts = [one for one in (tree / "tests/contracts").glob("*.py") if "sql" in one.read_text()]
    # What is installed says that there is a plugin of Prosa's, which older code may not have.
    has_plugin = (tree / "prosa" / "testing" / "plugin.py").exists()
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "pytest", "-q", "-k", "Postgres or SQLite", *options),
        *(() if has_plugin else ("-p", "no:prosa")),
        *map(str, contracts),
        cwd=tree,
        env=_environment(tree),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    try:
        async with asyncio.timeout(SECONDS):
            said, _ = await process.communicate()
    finally:
        await _ended(process)
    return process.returncode, said.decode()


async def _ended(process: asyncio.subprocess.Process) -> None:
    if process.returncode is None:
        process.kill()
    await process.wait()


def _environment(tree: Path) -> dict[str, str]:
    """Have a process find the code of a tree, and no setting of whoever runs the tests."""
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(tree),
        "PYTHONPATH": str(tree),
        "PYTHONUTF8": "1",
    }


class OlderProcess:
    """A process that is asked for one thing after the other: `older_process` says for what."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    async def ask(self, action: str, **given: str | None) -> Any:  # noqa: ANN401 - JSON
        """Ask for something and wait for it."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"action": action, **given}).encode() + b"\n")
        return await self.next_answer()

    async def next_answer(self) -> Any:  # noqa: ANN401 - JSON
        """Read the next line; what the process says where there is none is the failure."""
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        async with asyncio.timeout(SECONDS):
            line = await self._process.stdout.readline()
            assert line, (await self._process.stderr.read()).decode()
        return json.loads(line)


def previous_version(folder: Path) -> PreviousVersion:
    """Write the older code into a folder. Raises NoHistoryError."""
    if shutil.which("git") is None:
        raise NoHistoryError("there is no git here, and only git has the previous version")
    if _git("rev-parse", "--is-shallow-repository") == b"true":
        raise NoHistoryError("this clone is shallow: `git fetch --unshallow --tags` gets the rest")
    name = _last_release() or _before_the_newest_migration()
    with tarfile.open(fileobj=io.BytesIO(_git("archive", name))) as archive:
        archive.extractall(folder, filter="data")
    return PreviousVersion(name=name, tree=folder)


def _last_release() -> str | None:
    """Find the newest tag before this commit: a release itself is compared with the one before."""
    try:
        tag = _git("describe", "--tags", "--abbrev=0", "--match", "v[0-9]*", "HEAD^")
    except NoHistoryError:
        return None
    return tag.decode()


def _before_the_newest_migration() -> str:
    newest = max((ROOT / VERSIONS).glob("[0-9]*.py"))
    added = _git("log", "-1", "--diff-filter=A", "--format=%H", "--", str(newest)).decode()
    # One that is not committed yet is what this commit's code has to work with.
    return f"{added}^" if added else "HEAD"


def _git(*arguments: str) -> bytes:
    done = subprocess.run(
        ["git", "-c", f"safe.directory={ROOT}", *arguments],  # noqa: S607 - wherever git is
        cwd=ROOT,
        capture_output=True,
        timeout=SECONDS,
        check=False,
    )
    if done.returncode != 0:
        said = done.stderr.decode().strip()
        raise NoHistoryError(f"git has no previous version ({said}): use a clone with history")
    return done.stdout if arguments[0] == "archive" else done.stdout.strip()
