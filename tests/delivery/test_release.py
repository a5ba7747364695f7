"""A release is what its tag, its version, its changelog and its documents agree on."""

from datetime import date
from pathlib import Path

import pytest

from infrastructure.delivery.release import (
    ROOT,
    UNRELEASED,
    ReleaseError,
    _sections,
    check,
    main,
    notes,
    prepare,
)

TODAY = date(2026, 12, 1)
CHANGELOG = """# Changelog

## Unreleased

### Added

- A thing.

## 0.1.0 - 2026-11-30

- The first.
"""


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Make a project whose version 0.1.0 is out, and whose next has something to tell."""
    (tmp_path / "pyproject.toml").write_text('[project]\nname = "prosa"\nversion = "0.1.0"\n')
    (tmp_path / "CHANGELOG.md").write_text(CHANGELOG)
    for folder in ("docs/api", "docs/api/released", "docs/events"):
        (tmp_path / folder).mkdir(parents=True, exist_ok=True)
    for name in ("docs/api/openapi.json", "docs/api/released/openapi.json"):
        (tmp_path / name).write_text("{}")
    for name in ("docs/events/a.v1.json", "docs/api/released/a.v1.json"):
        (tmp_path / name).write_text("[]")
    return tmp_path


def test_what_is_prepared_may_be_released(root: Path) -> None:
    prepare(root, "0.2.0", TODAY)
    check(root, "v0.2.0")
    changelog = (root / "CHANGELOG.md").read_text()
    assert "## Unreleased\n\n## 0.2.0 - 2026-12-01\n" in changelog
    assert notes(changelog, "0.2.0") == "### Added\n\n- A thing."
    assert 'version = "0.2.0"' in (root / "pyproject.toml").read_text()


def test_a_version_may_come_before_another(root: Path) -> None:
    prepare(root, "0.2.0rc1", TODAY)
    check(root, "v0.2.0rc1")


@pytest.mark.parametrize("version", ["1.0", "v1.0.0", "next", "1.0.0-beta"])
def test_what_is_no_version_is_refused(root: Path, version: str) -> None:
    with pytest.raises(ReleaseError, match="is no version"):
        prepare(root, version, TODAY)


def test_a_version_is_released_once(root: Path) -> None:
    with pytest.raises(ReleaseError, match=r"has 0\.1\.0 already"):
        prepare(root, "0.1.0", TODAY)


def test_nothing_to_tell_is_nothing_to_release(root: Path) -> None:
    prepare(root, "0.2.0", TODAY)
    with pytest.raises(ReleaseError, match="says nothing of Unreleased"):
        prepare(root, "0.3.0", TODAY)


def test_a_tag_of_another_version_is_refused(root: Path) -> None:
    with pytest.raises(
        ReleaseError, match=r"the tag is v0\.2\.0, but pyproject\.toml says 0\.1\.0"
    ):
        check(root, "v0.2.0")


@pytest.mark.parametrize("name", ["docs/api/openapi.json", "docs/events/a.v1.json"])
def test_documents_that_were_not_kept_as_released_are_named(root: Path, name: str) -> None:
    (root / name).write_text("changed")
    with pytest.raises(ReleaseError, match=f"{Path(name).name}.*make released"):
        check(root, "v0.1.0")


def test_an_event_that_is_new_is_named(root: Path) -> None:
    (root / "docs/events/b.v1.json").write_text("[]")
    with pytest.raises(ReleaseError, match=r"\(b\.v1\.json\)"):
        check(root, "v0.1.0")


def test_the_command_prints_notes_and_tells_of_errors(
    root: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["notes", "0.1.0"], root) == 0
    assert main(["check", "v9.9.9"], root) == 1
    told = capsys.readouterr()
    assert (told.out, "the tag is v9.9.9" in told.err) == ("- The first.\n", True)


def test_our_own_changelog_has_a_place_for_what_comes_next_and_something_to_tell() -> None:
    sections = _sections((ROOT / "CHANGELOG.md").read_text(encoding="utf-8"))
    assert next(iter(sections)) == UNRELEASED
    assert any(sections.values())
