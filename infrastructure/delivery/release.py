"""Prepares a release, and sees before it is published that version, changelog and documents fit.

python -m infrastructure.delivery.release prepare 0.2.0   # writes version and changelog
python -m infrastructure.delivery.release check v0.2.0    # in the pipeline, by the tag
python -m infrastructure.delivery.release notes 0.2.0     # prints the changelog's section
"""

import argparse
import re
import sys
import tomllib
from datetime import UTC, date, datetime
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
UNRELEASED = "Unreleased"

_VERSION = re.compile(r"^\d+\.\d+\.\d+((a|b|rc)\d+)?$")
_HEADING = re.compile(r"^## (?P<name>\S+)( - \d{4}-\d{2}-\d{2})?$", re.MULTILINE)


class ReleaseError(Exception):
    """Something does not fit: the text says what, and what to do."""


def prepare(root: Path, version: str, today: date) -> None:
    """Give what is unreleased a version and a date. Raises ReleaseError."""
    if not _VERSION.match(version):
        raise ReleaseError(f"{version!r} is no version: write 1.2.3, or 1.2.3rc1")
    changelog = root / "CHANGELOG.md"
    text = changelog.read_text(encoding="utf-8")
    notes(text, UNRELEASED)
    if version in _sections(text):
        raise ReleaseError(f"CHANGELOG.md has {version} already: a version is released once")
    heading = f"## {UNRELEASED}\n\n## {version} - {today}\n"
    changelog.write_text(text.replace(f"## {UNRELEASED}\n", heading, 1), encoding="utf-8")
    project = root / "pyproject.toml"
    line = f'version = "{_version(project)}"'
    written = project.read_text(encoding="utf-8").replace(line, f'version = "{version}"', 1)
    project.write_text(written, encoding="utf-8")


def check(root: Path, tag: str) -> None:
    """See that a tag may be released. Raises ReleaseError."""
    version = _version(root / "pyproject.toml")
    if tag != f"v{version}":
        raise ReleaseError(f"the tag is {tag}, but pyproject.toml says {version}: tag v{version}")
    notes((root / "CHANGELOG.md").read_text(encoding="utf-8"), version)
    stale = _documents_that_differ(root / "docs")
    if stale:
        raise ReleaseError(
            f"docs/api/released is not what is released now ({', '.join(stale)}): make released"
        )


def notes(changelog: str, version: str) -> str:
    """Find what a version brought. Raises ReleaseError."""
    found = _sections(changelog).get(version, "")
    if not found:
        raise ReleaseError(f"CHANGELOG.md says nothing of {version}: write what users notice")
    return found


def _sections(changelog: str) -> dict[str, str]:
    headings = list(_HEADING.finditer(changelog))
    ends = [heading.start() for heading in headings[1:]] + [len(changelog)]
    return {
        heading["name"]: changelog[heading.end() : end].strip()
        for heading, end in zip(headings, ends, strict=True)
    }


def _version(project: Path) -> str:
    version: str = tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"]
    return version


def _documents_that_differ(docs: Path) -> list[str]:
    """Compare today's documents with those that `make released` keeps."""
    todays = [docs / "api" / "openapi.json", *sorted((docs / "events").glob("*.json"))]
    released = docs / "api" / "released"
    today = {path.name: path.read_bytes() for path in todays}
    kept = {path.name: path.read_bytes() for path in released.glob("*.json")}
    return sorted(name for name in today | kept if today.get(name) != kept.get(name))


def main(words: list[str] | None = None, root: Path = ROOT) -> int:
    """Do what a command says; 1 if something does not fit."""
    parser = argparse.ArgumentParser(prog="python -m infrastructure.delivery.release")
    parser.add_argument("command", choices=("prepare", "check", "notes"))
    parser.add_argument("version", help="as in 0.2.0; for check the tag, as in v0.2.0")
    given = parser.parse_args(words)
    try:
        if given.command == "prepare":
            prepare(root, given.version, datetime.now(UTC).date())
        elif given.command == "check":
            check(root, given.version)
        else:
            changelog = (root / "CHANGELOG.md").read_text(encoding="utf-8")
            print(notes(changelog, given.version))  # noqa: T201 - a command's output
    except ReleaseError as error:
        print(f"{given.command}: {error}", file=sys.stderr)  # noqa: T201 - as above
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
