"""The scripts in workflows run, with programs that stand in for those of other people's clouds."""

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

GITHUB = Path(__file__).parents[2] / ".github"
FOLDER = "infrastructure/terraform/environments/dev"

STAND_IN = """#!/bin/sh
printf '%s' "$(basename "$0")" >> "$CALLS"
printf ' %s' "$@" >> "$CALLS"
printf '\\n' >> "$CALLS"
if [ "$FAILS" = "$(basename "$0") $2" ]; then exit 1; fi
echo '{"said": "by a stand-in"}'
"""


class Runner:
    """A job's folder and environment, in which scripts run as they do at GitHub."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.calls = folder / "calls"
        programs = folder / "programs"
        (folder / ".venv" / "bin").mkdir(parents=True)
        (folder / FOLDER).mkdir(parents=True)
        programs.mkdir()
        for program in (folder / ".venv/bin/python", programs / "terraform", programs / "gh"):
            program.write_text(STAND_IN)
            program.chmod(0o755)
        self.variables = {
            "CALLS": str(self.calls),
            "PATH": f"{programs}:{os.environ['PATH']}",
            "GITHUB_STEP_SUMMARY": str(folder / "summary.md"),
            "FOLDER": FOLDER,
        }

    def run(self, script: str, **variables: str) -> int:
        """Run it; what it exits with."""
        shell = ("/bin/bash", "--noprofile", "--norc", "-eo", "pipefail", "-c")
        environment = {"FAILS": "", **self.variables, **variables}
        ended = subprocess.run(
            (*shell, script), cwd=self.folder, env=environment, check=False, timeout=60
        )
        return ended.returncode

    def called(self) -> list[str]:
        return self.calls.read_text().splitlines()


@pytest.fixture
def runner(tmp_path: Path) -> Runner:
    return Runner(tmp_path)


def script(file: str, job: str, name: str) -> str:
    """Find a step by the beginning of its name."""
    read: Mapping[str, Any] = yaml.safe_load((GITHUB / file).read_text(encoding="utf-8"))
    steps = read["runs"]["steps"] if job == "" else read["jobs"][job]["steps"]
    (found,) = [step["run"] for step in steps if step.get("name", "").startswith(name)]
    return str(found)


PLAN = script("actions/plan/action.yml", "", "Plan")
VALUES = '{"region": "eu-west-1", "state_bucket": "example-state"}'
GIVEN = {"VALUES": VALUES, "PACKAGES": "packages", "BUCKET": "b", "AWS_REGION": "eu-west-1"}


def test_a_plan_has_the_values_and_the_packages_and_is_shown(runner: Runner) -> None:
    assert runner.run(PLAN, **GIVEN) == 0
    written = {path.name: path.read_text() for path in (runner.folder / FOLDER).iterdir()}
    assert json.loads(written["values.auto.tfvars.json"])["region"] == "eu-west-1"
    assert json.loads(written["packages.auto.tfvars.json"]) == {"said": "by a stand-in"}
    assert "by a stand-in" in (runner.folder / "summary.md").read_text()
    assert runner.called() == [
        "python -m infrastructure.delivery packages packages",
        f"terraform -chdir={FOLDER} init -backend-config=bucket=b -backend-config=region=eu-west-1",
        f"terraform -chdir={FOLDER} plan -lock-timeout=10m -out=deploy.tfplan",
        f"terraform -chdir={FOLDER} show -no-color deploy.tfplan",
    ]


@pytest.mark.parametrize("fails", ["python infrastructure.delivery", "terraform init"])
def test_a_plan_that_cannot_be_made_ends_the_step(runner: Runner, fails: str) -> None:
    assert runner.run(PLAN, FAILS=fails, **GIVEN) != 0
    assert not (runner.folder / "summary.md").exists()


def test_packages_are_put_where_the_environment_says(runner: Runner) -> None:
    upload = script("workflows/deploy-environment.yml", "deploy", "Put the packages")
    assert runner.run(upload) == 0
    assert (runner.folder / "outputs.json").read_text() == '{"said": "by a stand-in"}\n'
    assert runner.called() == [
        f"terraform -chdir={FOLDER} output -json prosa",
        "python -m infrastructure.delivery upload packages outputs.json",
    ]


def test_an_apply_that_fails_ends_the_step(runner: Runner) -> None:
    apply = script("workflows/deploy-environment.yml", "deploy", "Apply")
    assert runner.run(apply, FAILS="terraform apply") != 0
    assert runner.called() == [f"terraform -chdir={FOLDER} apply -lock-timeout=10m deploy.tfplan"]


@pytest.mark.parametrize(
    ("tag", "marked"), [("v0.2.0", False), ("v0.2.0rc1", True), ("v1.0.0b12", True)]
)
def test_a_release_is_made_of_its_files_and_says_whether_it_is_one(
    runner: Runner,
    tag: str,
    marked: bool,  # noqa: FBT001 - a case of the table
) -> None:
    for name in ("distribution/prosa.whl", "about-it/prosa.cdx.json", "about-it/notes.md"):
        file = runner.folder / "released" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    assert (
        runner.run(script("workflows/release.yml", "github", "Release"), GITHUB_REF_NAME=tag) == 0
    )
    (called,) = runner.called()
    assert called.startswith(f"gh release create {tag} --verify-tag --title Prosa {tag[1:]} ")
    assert called.endswith("released/distribution/prosa.whl released/about-it/prosa.cdx.json")
    assert ("--prerelease" in called) is marked
