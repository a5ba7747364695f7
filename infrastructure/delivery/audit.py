"""Asks for known vulnerabilities of everything that is locked: `make security`.

pip-audit asks PyPI. Where nobody can be asked it says so, and passes: a scan that saw nothing. So
that is told here in plain words, and with `--required`, as in pipelines, it is an error.
"""

import argparse
import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ROOT / "requirements"

ACCEPTED: Mapping[str, str] = {}
"""Vulnerabilities that are left, by their identifiers, each with its reason."""

NOT_SHIPPED = {"checkov.txt": "a linter in an environment of its own, whose versions it dictates"}
"""Locks that are not looked at, each with its reason."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Audit:
    """What became known of a lock: how many packages were asked about, and what was found."""

    asked: int
    unknown: int
    findings: tuple[str, ...]

    @classmethod
    def read(cls, told: Mapping[str, Any], accepted: Mapping[str, str] = ACCEPTED) -> "Audit":
        """Read what pip-audit writes as JSON."""
        packages = told["dependencies"]
        known = [one for one in packages if "skip_reason" not in one]
        return cls(
            asked=len(known),
            unknown=len(packages) - len(known),
            findings=tuple(line for one in known for line in _findings(one, accepted)),
        )


def _findings(package: Mapping[str, Any], accepted: Mapping[str, str]) -> Iterable[str]:
    for one in package["vulns"]:
        if not {one["id"], *one["aliases"]} & set(accepted):
            fixed = ", ".join(one["fix_versions"]) or "nothing yet"
            yield f"{package['name']} {package['version']}: {one['id']}, mended by {fixed}"


def audit(pip_audit: str, lock: Path) -> Audit | None:
    """Ask about a lock; None where nobody could be reached."""
    options = ("--requirement", str(lock), "--disable-pip", "--require-hashes", "--format", "json")
    ended = subprocess.run(  # noqa: S603 - our own tool
        (pip_audit, *options, "--progress-spinner", "off"),
        capture_output=True,
        check=False,
        encoding="utf-8",
    )
    try:
        return Audit.read(json.loads(ended.stdout))
    except ValueError:
        return None


def report(audits: Mapping[str, Audit | None], *, required: bool) -> tuple[list[str], bool]:
    """Say in lines what became known, and whether it passes."""
    lines, passes = [], True
    for name, one in audits.items():
        if one is None or not one.asked:
            lines.append(f"{name}: NOT LOOKED AT, no service of vulnerabilities could be reached")
            passes = passes and not required
            continue
        lines.append(f"{name}: {one.asked} packages, {len(one.findings)} known vulnerabilities")
        lines += [f"  {finding}" for finding in one.findings]
        if one.unknown:
            lines.append(f"  {one.unknown} packages are unknown to the service")
        passes = passes and not one.findings and not (required and one.unknown)
    return lines, passes


def main() -> int:
    """Audit every lock; 1 if a vulnerability is known."""
    parser = argparse.ArgumentParser(description="Ask for known vulnerabilities.")
    parser.add_argument("pip_audit", help="the program")
    parser.add_argument("--required", action="store_true", help="fail where nobody can be asked")
    arguments = parser.parse_args()
    locks = [lock for lock in sorted(LOCKS.glob("*.txt")) if lock.name not in NOT_SHIPPED]
    lines, passes = report(
        {lock.name: audit(arguments.pip_audit, lock) for lock in locks},
        required=arguments.required,
    )
    print("\n".join(lines))  # noqa: T201 - a command's output
    return 0 if passes else 1


if __name__ == "__main__":
    sys.exit(main())
