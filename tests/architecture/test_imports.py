"""Imports: who may import whom, and how little `import prosa` loads."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

import prosa

ROOT = Path(__file__).parents[2]


def run_fresh(program: str) -> dict[str, list[str]]:
    """Run a program that prints JSON, away from this process and all that it has imported."""
    result = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        check=False,
        cwd=ROOT,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    printed: dict[str, list[str]] = json.loads(result.stdout)
    return printed


def names_under_type_checking() -> set[str]:
    """What `prosa/__init__.py` imports for type checkers only."""
    tree = ast.parse((ROOT / "prosa" / "__init__.py").read_text(encoding="utf-8"))
    return {
        alias.asname or alias.name
        for block in tree.body
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for statement in block.body
        if isinstance(statement, ast.ImportFrom)
        for alias in statement.names
    }


def test_the_import_rule_holds() -> None:
    # In a process of its own: the linter sets up logging for the whole process that it runs in.
    program = (
        "from importlinter.cli import lint_imports as run; raise SystemExit(run(no_cache=True))"
    )
    result = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        check=False,
        cwd=ROOT,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stdout + result.stderr


def test_importing_prosa_loads_the_standard_library_only_and_no_event_loop() -> None:
    modules = run_fresh("""
import json, sys
before = set(sys.modules)
import prosa
print(json.dumps({"all": [*sys.modules], "new": [*set(sys.modules) - before]}))
""")
    packages = {module.partition(".")[0] for module in modules["new"]}
    assert packages - sys.stdlib_module_names == {"prosa"}
    assert "asyncio" not in modules["all"]


def test_every_public_name_can_be_the_first_that_is_asked_for() -> None:
    names = run_fresh("""
import json, sys
import prosa
missing = []
for name in prosa.__all__:
    for module in [module for module in sys.modules if module.partition(".")[0] == "prosa"]:
        del sys.modules[module]
    import prosa
    if not hasattr(prosa, name):
        missing.append(name)
print(json.dumps({"missing": missing}))
""")
    assert names == {"missing": []}


def test_type_checkers_know_every_public_name_and_no_other() -> None:
    assert names_under_type_checking() == set(prosa.__all__)


def test_completion_offers_every_public_name() -> None:
    assert set(prosa.__all__) <= set(dir(prosa))


def test_an_unknown_name_is_an_attribute_error() -> None:
    name = "no_such_name"
    with pytest.raises(AttributeError, match=name):
        getattr(prosa, name)
