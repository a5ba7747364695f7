"""docs/reliability.md names tests and bugs that there are, and leaves out none."""

import re
from pathlib import Path

import pytest

from tests.faults.seeded_bugs.bugs import Bug, load_bugs

ROOT = Path(__file__).parents[2]
DOCUMENT = ROOT / "docs" / "reliability.md"
ROWS = set(range(1, 36))
"""The fault matrix."""

TABLE_ROW = re.compile(r"^\| (\d+) \| .* \| (.*) \|$", re.MULTILINE)
BUG_ROW = re.compile(
    r"^\| (.*) \| ((?:I\d|pact|document): .*) \| \[`(.*)`\]\(\.\./(.*)\) \|$", re.MULTILINE
)
TEST = re.compile(r"\[`(\w+)`\]\(\.\./([\w/.]+)\)")


def test_every_row_of_the_fault_matrix_names_tests_that_there_are() -> None:
    rows = {int(number): tests for number, tests in TABLE_ROW.findall(DOCUMENT.read_text())}
    assert rows.keys() >= ROWS
    for number, tests in rows.items():
        named = TEST.findall(tests)
        assert named, f"row {number} names no test"
        for name, file in named:
            assert f"def {name}(" in (ROOT / file).read_text(), f"row {number}: {name}"


def test_every_seeded_bug_is_listed_with_the_test_that_turns_red() -> None:
    listed = {
        (name, breaks, file if test == "the state machine" else f"{file}::{test}")
        for name, breaks, test, file in BUG_ROW.findall(DOCUMENT.read_text())
    }
    assert listed == {(bug.name, bug.breaks, bug.red) for bug in load_bugs()}


@pytest.mark.parametrize("bug", load_bugs(), ids=lambda bug: bug.name)
def test_every_seeded_bug_still_applies_and_names_a_test_that_there_is(bug: Bug) -> None:
    for edit in bug.edits:
        assert (ROOT / edit.file).read_text().count(edit.old) == 1, edit.file
    file, _, test = bug.red.partition("::")
    name = test.partition("[")[0]
    assert f"def {name}(" in (ROOT / file).read_text() if name else (ROOT / file).exists()
