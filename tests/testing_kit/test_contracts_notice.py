"""Each contract notices a broken adapter, by the clause that it breaks, and says what is wrong."""

import inspect
import pkgutil
import subprocess
import sys
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from prosa.application import ports
from tests.testing_kit import broken_adapters

ROOT = Path(__file__).parents[2]

BROKEN: dict[str, str] = {
    name: notices
    for name, found in inspect.getmembers(broken_adapters, inspect.isclass)
    if (notices := getattr(found, "notices", None))
}
"""The clause that notices each."""


@dataclass(frozen=True)
class Outcome:
    ended: str
    said: str


Outcomes = dict[str, dict[str, Outcome]]
"""How each test ended, by its class and its name."""


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory: pytest.TempPathFactory) -> Outcomes:
    """Run all broken adapters, by a pytest of their own."""
    report = tmp_path_factory.mktemp("broken") / "report.xml"
    file = broken_adapters.__file__
    command = ["-m", "pytest", "-q", "-p", "no:cacheprovider", f"--junitxml={report}", str(file)]
    ended = subprocess.run(
        [sys.executable, *command],
        capture_output=True,
        check=False,
        cwd=ROOT,
        encoding="utf-8",
        timeout=60,
    )
    assert ended.returncode == pytest.ExitCode.TESTS_FAILED, ended.stdout + ended.stderr
    outcomes: Outcomes = defaultdict(dict)
    # What pytest has just written.
    for case in ET.parse(report).iter("testcase"):  # noqa: S314 - see above
        kind = case.attrib["classname"].rpartition(".")[2]
        outcomes[kind][case.attrib["name"]] = _outcome(case)
    return outcomes


def _outcome(case: ET.Element) -> Outcome:
    told = next((part for part in case if part.tag in {"failure", "error", "skipped"}), None)
    if told is None:
        return Outcome("passed", "")
    return Outcome(told.tag, told.text or "")


@pytest.mark.parametrize("kind", BROKEN)
def test_the_clause_that_is_broken_fails_and_not_all_do(outcomes: Outcomes, kind: str) -> None:
    ended = {name: outcome.ended for name, outcome in outcomes[kind].items()}
    assert ended[BROKEN[kind]] == "failure"
    assert "passed" in ended.values()
    assert "error" not in ended.values()


def test_every_port_has_a_broken_copy() -> None:
    files = {module.name.replace("_", "") for module in pkgutil.iter_modules(ports.__path__)}
    assert {kind.removeprefix("Test").lower() for kind in BROKEN} == files


def test_a_clause_that_fails_is_shown_with_its_values(outcomes: Outcomes) -> None:
    failed = outcomes["TestDeliveryLedger"]["test_the_first_delivery_of_a_reply_stays"]
    assert "differing attribute delivered_at" in failed.said
