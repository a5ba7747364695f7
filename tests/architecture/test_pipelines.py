"""Pipelines are well formed, safe, and name commands, roles, outputs and packages that exist."""

import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import hcl2
import pytest
import yaml

from infrastructure.delivery import aliases, distribution, functions, packages, smoke
from infrastructure.delivery.__main__ import COMMANDS

ROOT = Path(__file__).parents[2]
GITHUB = ROOT / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
ACTIONS = sorted((GITHUB / "actions").glob("*/action.yml"))
TERRAFORM = ROOT / "infrastructure" / "terraform"
BIN = Path(sys.executable).parent

ENVIRONMENTS = ("dev", "staging", "prod")
"""In the order in which a version gets there."""

WRITES = {
    ("deploy-environment", "deploy"): {"id-token"},
    ("deploy-environment", "plan"): {"id-token"},
    ("deploy", "dev"): {"id-token"},
    ("deploy", "packages"): {"attestations", "id-token"},
    ("deploy", "prod"): {"id-token"},
    ("deploy", "staging"): {"id-token"},
    ("nightly", "live"): {"id-token"},
    ("plan", "dev"): {"id-token"},
    ("release", "build"): {"attestations", "id-token"},
    ("release", "github"): {"contents"},
    ("release", "image"): {"attestations", "id-token", "packages"},
    ("release", "pypi"): {"id-token"},
}
"""What jobs may write. All others read, or do not even that."""

PINNED = re.compile(r"^[\w.-]+/[\w./-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+$")
EXPRESSION = re.compile(r"\$\{\{.*?\}\}", re.DOTALL)

Job = Mapping[str, Any]


@cache
def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def workflow(name: str) -> dict[str, Any]:
    return read(GITHUB / "workflows" / f"{name}.yml")


def jobs() -> Iterator[tuple[str, str, Job]]:
    for path in WORKFLOWS:
        for name, job in read(path)["jobs"].items():
            yield path.stem, name, job


def steps() -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Give each step, of jobs and of our own actions, with where it is."""
    for path in ACTIONS:
        yield from ((path.parent.name, step) for step in read(path)["runs"]["steps"])
    for file, name, job in jobs():
        yield from ((f"{file}.{name}", step) for step in job.get("steps", ()))


def commands() -> str:
    """Join every line that some shell is to run, those of matrices too."""
    run = [step["run"] for _, step in steps() if "run" in step]
    matrices = [job.get("strategy", {}).get("matrix", {}) for _, _, job in jobs()]
    return "\n".join([*run, *(one for matrix in matrices for one in matrix.get("command", ()))])


def texts() -> str:
    return "\n".join(path.read_text(encoding="utf-8") for path in (*WORKFLOWS, *ACTIONS))


def quietly(*command: str | Path, **variables: str) -> None:
    """Run a linter, and show what it says where it is not content."""
    environment = {**os.environ, "PATH": f"{BIN}:{os.environ['PATH']}", **variables}
    ended = subprocess.run(
        list(map(str, command)),
        capture_output=True,
        check=False,
        cwd=ROOT,
        encoding="utf-8",
        env=environment,
        timeout=120,
    )
    assert ended.returncode == 0, f"{ended.stdout}{ended.stderr}"


# Linters


def test_actionlint_and_shellcheck_find_nothing_in_workflows() -> None:
    quietly(BIN / "actionlint", *WORKFLOWS)


def test_zizmor_finds_nothing_that_an_attacker_could_use() -> None:
    quietly(BIN / "zizmor", "--offline", "--quiet", ".github")


@pytest.mark.parametrize(
    ("schema", "files"),
    [
        ("github-workflows", WORKFLOWS),
        ("github-actions", ACTIONS),
        ("dependabot", [GITHUB / "dependabot.yml"]),
    ],
    ids=["workflows", "actions", "dependabot"],
)
def test_files_are_as_their_schemas_have_them(schema: str, files: list[Path]) -> None:
    quietly(BIN / "check-jsonschema", "--builtin-schema", f"vendor.{schema}", *files)


def test_shellcheck_finds_nothing_in_our_own_actions(tmp_path: Path) -> None:
    scripts = []
    for number, step in enumerate(step for path in ACTIONS for step in read(path)["runs"]["steps"]):
        if "run" in step:
            assert step["shell"] == "bash"
            assert not EXPRESSION.search(step["run"]), (
                "give it by env: what it says may be a command"
            )
            scripts.append(tmp_path / f"{number}.sh")
            scripts[-1].write_text(f"#!/usr/bin/env bash\n{step['run']}", encoding="utf-8")
    quietly(BIN / "shellcheck", *scripts)


def test_the_hooks_configuration_is_one_and_names_tools_that_are_installed() -> None:
    config = ROOT / ".pre-commit-config.yaml"
    quietly(BIN / "pre-commit", "validate-config", config)
    entries = [hook["entry"] for repo in read(config)["repos"] for hook in repo["hooks"]]
    programs = {entry.split()[0] for entry in entries} - {"sh"}
    assert {Path(program).parent for program in programs} == {Path(".venv/bin")}
    assert all((BIN / Path(program).name).exists() for program in programs)


# What may be done, and by whom


def used() -> list[str]:
    return re.findall(r"^\s*(?:- )?uses: (.+)$", texts(), re.MULTILINE)


def test_every_action_is_pinned_by_its_digest_and_says_its_version() -> None:
    others = [one for one in used() if not one.startswith("./")]
    assert others
    assert [one for one in others if not PINNED.match(one)] == []


def test_an_action_has_one_digest_everywhere() -> None:
    pins = {one for one in used() if not one.startswith("./")}
    assert len({one.partition("@")[0] for one in pins}) == len(pins)


def test_our_own_actions_and_workflows_that_are_used_exist() -> None:
    for one in used():
        if one.startswith("./"):
            path = ROOT / one
            assert (path / "action.yml").exists() if path.suffix != ".yml" else path.exists(), one


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_grants_nothing_and_each_job_what_it_needs(path: Path) -> None:
    assert read(path)["permissions"] == {}
    for name, job in read(path)["jobs"].items():
        granted = job["permissions"]
        assert isinstance(granted, dict), "name each: read-all and write-all are too much"
        writes = {scope for scope, access in granted.items() if access == "write"}
        assert writes == WRITES.get((path.stem, name), set()), name


def test_every_permission_to_write_has_its_reason_beside_it() -> None:
    lines = [
        line
        for line in texts().splitlines()
        if line.rstrip().partition(" #")[0].endswith(": write")
    ]
    assert lines
    assert [line for line in lines if " # " not in line] == []


def test_every_job_is_bounded() -> None:
    for file, name, job in jobs():
        assert "uses" in job or job["timeout-minutes"] <= 180, f"{file}.{name}"


def test_no_checkout_leaves_credentials_behind() -> None:
    checkouts = [
        step for _, step in steps() if step.get("uses", "").startswith("actions/checkout@")
    ]
    assert checkouts
    assert all(step["with"]["persist-credentials"] is False for step in checkouts)


def test_what_writes_to_others_runs_one_at_a_time_and_is_never_cut_off() -> None:
    for one in (workflow("release"), workflow("deploy-environment")["jobs"]["deploy"]):
        assert one["concurrency"]["cancel-in-progress"] is False


# What is required


def test_the_required_job_needs_all_others() -> None:
    found = workflow("ci")["jobs"]
    assert set(found["ci"]["needs"]) == set(found) - {"ci"}
    assert found["ci"]["if"] == "always()"


def outcome(results: str, pacts: str) -> bool:
    (step,) = workflow("ci")["jobs"]["ci"]["steps"]
    ended = subprocess.run(
        ["/bin/bash", "--noprofile", "--norc", "-eo", "pipefail", "-c", step["run"]],
        check=False,
        capture_output=True,
        env={"PATH": os.environ["PATH"], "RESULTS": results, "PACTS": pacts},
        timeout=60,
    )
    return ended.returncode == 0


@pytest.mark.parametrize(
    ("results", "pacts", "passes"),
    [
        ("success success success", "success", True),
        ("success success skipped", "skipped", True),
        ("success skipped success", "success", False),
        ("success skipped skipped", "skipped", False),
        ("success failure success", "success", False),
        ("success cancelled success", "success", False),
        ("success success failure", "failure", False),
    ],
)
def test_the_required_job_passes_only_what_succeeded_but_for_skipped_pacts(
    results: str,
    pacts: str,
    passes: bool,  # noqa: FBT001 - a case of the table
) -> None:
    assert outcome(results, pacts) is passes


@pytest.mark.parametrize(("name", "first"), [("deploy", {"dev"}), ("release", {"build"})])
def test_nothing_goes_out_that_has_not_passed(name: str, first: set[str]) -> None:
    found = workflow(name)["jobs"]
    assert found["ci"]["uses"] == "./.github/workflows/ci.yml"
    assert first == {job for job, one in found.items() if "ci" in one.get("needs", ())}
    free = {"ci", "packages"}
    assert all("needs" in one for job, one in found.items() if job not in free)


def test_every_python_that_is_supported_is_tested() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    versions = [line.rsplit(" ", 1)[-1] for line in project["classifiers"] if ":: 3." in line]
    assert workflow("ci")["jobs"]["check"]["strategy"]["matrix"]["python"] == versions


# Commands


def made() -> set[tuple[str, tuple[str, ...]]]:
    """Find each target that is made, and the variables that are given to it."""
    lines = re.findall(r"\bmake ([a-z][\w-]*)((?: [A-Z_]+=\S+)*)", commands())
    return {(target, tuple(re.findall(r" ([A-Z_]+)=", given))) for target, given in lines}


def test_every_target_that_is_made_exists_and_so_do_its_variables() -> None:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z][\w-]*):", makefile, re.MULTILINE))
    variables = set(re.findall(r"^([A-Z_]+) *=", makefile, re.MULTILINE))
    found = made()
    assert {target for target, _ in found} <= targets
    assert {name for _, given in found for name in given} <= variables
    assert {"check", "check-dist", "install", "lambda-package", "live", "security"} <= {
        target for target, _ in found
    }


def test_every_module_that_is_run_exists() -> None:
    modules = set(re.findall(r"python -m ([\w.]+)", commands()))
    assert {"infrastructure.delivery", "infrastructure.delivery.release"} <= modules
    assert [name for name in modules if find_spec(name) is None] == []


def test_every_command_of_delivery_is_given_what_it_takes() -> None:
    lines = re.findall(r"-m infrastructure\.delivery ([^>\\\n]+)", commands())
    given = {line.split()[0]: len(line.split()) - 1 for line in lines}
    assert given == {name: len(takes) for name, (_, takes) in COMMANDS.items() if name != "smoke"}


def test_every_extra_is_tried_by_itself() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert set(distribution.PACKAGES) == set(project["optional-dependencies"]) - {"all"}


def test_every_module_that_is_not_tried_exists() -> None:
    for name in distribution.NOT_BY_ITSELF:
        assert (ROOT / f"{name.replace('.', '/')}.py").exists()


# Terraform


@cache
def parsed(path: str) -> dict[str, Any]:
    with (TERRAFORM / path).open(encoding="utf-8") as file:
        found: dict[str, Any] = plain(hcl2.load(file))
    return found


def plain(value: Any) -> Any:  # noqa: ANN401 - HCL, as its parser gives it
    if isinstance(value, dict):
        return {key.strip('"'): plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value.strip('"') if isinstance(value, str) else value


def names(path: str, kind: str) -> set[str]:
    return {name for block in parsed(path)[kind] for name in block if not name.startswith("__")}


def hcl(path: str) -> str:
    return (TERRAFORM / path).read_text(encoding="utf-8")


def test_a_version_goes_through_all_environments_in_order() -> None:
    found = workflow("deploy")["jobs"]
    assert tuple(path.name for path in sorted((TERRAFORM / "environments").iterdir())) == tuple(
        sorted(ENVIRONMENTS)
    )
    assert found["staging"]["needs"] == ["dev"]
    assert found["prod"]["needs"] == ["staging"]
    for environment in ENVIRONMENTS:
        given = found[environment]["with"]
        variable = f"vars.PROSA_{environment.upper()}"
        assert given == {"environment": environment, "settings": f"${{{{ {variable} }}}}"}


def test_what_deploys_is_a_job_of_the_environment_that_the_role_trusts() -> None:
    found = workflow("deploy-environment")["jobs"]
    assert found["deploy"]["environment"] == "${{ inputs.environment }}"
    for environment in ENVIRONMENTS:
        (module,) = parsed(f"environments/{environment}/main.tf")["module"]
        assert module["prosa"]["pipeline"]["environment"] == environment


def test_what_plans_runs_where_the_role_that_reads_is_trusted() -> None:
    trusted = hcl("modules/delivery/main.tf")
    assert '"repo:${var.repository}:pull_request"' in trusted
    assert '"repo:${var.repository}:ref:refs/heads/main"' in trusted
    # A job of an environment has a token of that environment's.
    assert "environment" not in workflow("deploy-environment")["jobs"]["plan"]
    assert "environment" not in workflow("plan")["jobs"]["dev"]
    assert "  push:\n    branches: [main]\n" in texts()


def test_the_roles_are_those_of_terraform() -> None:
    (roles,) = [one["roles"] for one in parsed("modules/delivery/main.tf")["locals"]]
    asked = [
        step["with"]["role"] for _, step in steps() if step.get("uses") == "./.github/actions/plan"
    ]
    assert set(asked) == set(roles) == {"plan", "deploy"}
    assert "fromJSON(inputs.settings).roles.deploy" in texts()


def test_the_values_that_the_pipeline_reads_are_variables_of_environments() -> None:
    read_here = set(re.findall(r"settings\)\.values\.(\w+)", texts()))
    assert read_here == {"region", "state_bucket"}
    assert read_here | {"packages"} <= names("environments/dev/variables.tf", "variable")


def test_the_state_is_where_the_environments_expect_it() -> None:
    assert '-backend-config="bucket=$BUCKET" -backend-config="region=$AWS_REGION"' in commands()
    backend = parsed("environments/dev/versions.tf")["terraform"][0]["backend"][0]["s3"]
    assert not {"bucket", "region"} & set(backend)


def outputs_read() -> set[str]:
    source = (ROOT / "infrastructure" / "delivery" / "__main__.py").read_text(encoding="utf-8")
    return set(re.findall(r'outputs\["(\w+)"\]', source))


def test_the_outputs_that_are_read_are_terraforms() -> None:
    assert {"artifact_bucket", "codedeploy_application", "functions", "url"} <= outputs_read()
    assert outputs_read() <= names("modules/platform/outputs.tf", "output")
    assert names("environments/dev/outputs.tf", "output") == {"prosa"}
    assert set(re.findall(r"output -json (\w+)", commands())) == {"prosa"}


def test_the_functions_that_are_called_exist_and_so_does_the_alias() -> None:
    (found,) = [
        one["functions"]
        for one in parsed("modules/platform/functions.tf")["locals"]
        if "functions" in one
    ]
    assert {functions.MIGRATE, functions.HTTP} <= set(found)
    assert f'name             = "{aliases.ALIAS}"' in hcl("modules/functions/main.tf")
    assert "deployment_group_name  = each.key" in hcl("modules/delivery/main.tf")


def test_codedeploy_alone_moves_aliases_and_takes_them_back() -> None:
    assert "ignore_changes = [function_version, routing_config]" in hcl("modules/functions/main.tf")
    group = hcl("modules/delivery/main.tf")
    assert 'events  = ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM"]' in group


def test_the_packages_are_built_for_what_terraform_runs() -> None:
    wanted = re.findall(r'LAMBDA_PACKAGES="([^"]+)"', commands())
    assert {tuple(one.split()) for one in wanted} == {packages.NAMES}
    declared = (
        hcl("environments/dev/variables.tf")
        .partition('variable "packages"')[2]
        .partition("\n}\n")[0]
    )
    assert set(re.findall(r"^    (\w+)\s*= object\(", declared, re.MULTILINE)) == set(
        packages.NAMES
    )
    python = read(GITHUB / "actions" / "set-up" / "action.yml")["inputs"]["python"]["default"]
    for environment in ENVIRONMENTS:
        (module,) = parsed(f"environments/{environment}/main.tf")["module"]
        assert module["prosa"]["runtime"] == f"python{python}"
    assert set(re.findall(r"dist/lambda/([\w.-]+)", texts())) == {f"python{python}-arm64"}
    assert 'architectures = ["arm64"]' in hcl("modules/functions/main.tf")


def test_terraform_is_of_a_version_that_the_code_accepts() -> None:
    (version,) = set(re.findall(r'terraform_version: "([\d.]+)"', texts()))
    (least,) = re.findall(r'required_version = ">= ([\d.]+)"', hcl("environments/dev/versions.tf"))
    assert [*map(int, version.split("."))] >= [*map(int, least.split("."))]


def test_the_smoke_tests_program_may_be_a_tenant() -> None:
    assert re.fullmatch(r"[a-z][a-z0-9-]+", smoke.PROGRAM)
    assert '"tenants"' in hcl("modules/identity/main.tf")


# What is told of it


def test_every_workflow_is_explained() -> None:
    told = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    reusable = {"deploy-environment"}
    assert [path.stem for path in WORKFLOWS if f"`{path.stem}`" not in told] == sorted(reusable)
