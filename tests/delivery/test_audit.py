"""A scan that saw nothing says so, and is no success where it is required."""

from typing import Any

import pytest

from infrastructure.delivery.audit import LOCKS, NOT_SHIPPED, Audit, audit, report

CLEAN: dict[str, Any] = {"name": "yarl", "version": "1.25.1", "vulns": []}
UNKNOWN: dict[str, Any] = {"name": "uvloop", "skip_reason": "Dependency not found on PyPI"}
VULNERABLE: dict[str, Any] = {
    "name": "aiohttp",
    "version": "3.0",
    "vulns": [{"id": "PYSEC-1", "aliases": ["CVE-1"], "fix_versions": ["3.1"]}],
}


def of(*packages: dict[str, Any]) -> Audit:
    return Audit.read({"dependencies": list(packages)})


def test_a_finding_is_told_with_what_mends_it_and_fails() -> None:
    lines, passes = report({"run.txt": of(CLEAN, VULNERABLE)}, required=False)
    assert lines == [
        "run.txt: 2 packages, 1 known vulnerabilities",
        "  aiohttp 3.0: PYSEC-1, mended by 3.1",
    ]
    assert not passes


def test_an_accepted_finding_passes_by_any_of_its_names() -> None:
    told = {"dependencies": [VULNERABLE]}
    for name in ("PYSEC-1", "CVE-1"):
        assert Audit.read(told, {name: "not reachable"}).findings == ()


@pytest.mark.parametrize("seen", [None, of(UNKNOWN)], ids=["nothing", "nothing it knows"])
@pytest.mark.parametrize("required", [True, False])
def test_what_could_not_be_asked_is_told_and_fails_where_required(
    seen: Audit | None,
    required: bool,  # noqa: FBT001 - a case of the table
) -> None:
    lines, passes = report({"run.txt": seen}, required=required)
    assert "run.txt: NOT LOOKED AT" in lines[0]
    assert passes is not required


def test_where_all_is_known_and_nothing_found_it_passes() -> None:
    assert report({"run.txt": of(CLEAN)}, required=True) == (
        ["run.txt: 1 packages, 0 known vulnerabilities"],
        True,
    )


def test_a_single_unknown_package_fails_where_required() -> None:
    _, passes = report({"run.txt": of(CLEAN, UNKNOWN)}, required=True)
    assert not passes


def test_a_program_that_breaks_has_looked_at_nothing() -> None:
    assert audit("/bin/false", LOCKS / "run.txt") is None


def test_what_is_shipped_is_looked_at() -> None:
    looked_at = {path.name for path in LOCKS.glob("*.txt")} - set(NOT_SHIPPED)
    assert {"run.txt", "lambda-server.txt", "install.txt"} <= looked_at
    assert all((LOCKS / name).exists() for name in NOT_SHIPPED)
