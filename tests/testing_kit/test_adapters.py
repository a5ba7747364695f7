"""No adapter is shipped whose port's contract is not run against it."""

import ast
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
ADAPTERS = ROOT / "prosa" / "adapters"
PORTS = ROOT / "prosa" / "application" / "ports"

RUN_OTHERWISE = {
    "OpenDoor": "asks for no token, and so refuses none",
    "JwtAuthenticator": "made by the issuer of tests/identity.py",
    "InMemoryConversationRepository": "a part of InMemoryUnitOfWork",
    "InMemoryRequestLog": "a part of InMemoryUnitOfWork",
    "SqlConversationRepository": "a part of SqlUnitOfWork",
    "SqlRequestLog": "a part of SqlUnitOfWork",
    "TracedUnitOfWork": "made by TracedUnitsOfWork",
    "WrappedLanguageModel": "what wrappers of models share; each of them is run",
}
"""Adapters that no run names, and why that is well."""


def classes_in(folder: Path) -> Iterator[ast.ClassDef]:
    for file in folder.rglob("*.py"):
        for statement in ast.parse(file.read_text("utf-8")).body:
            if isinstance(statement, ast.ClassDef) and not statement.name.startswith("_"):
                yield statement


def bases_of(found: ast.ClassDef) -> set[str]:
    return {ast.unparse(base) for base in found.bases}


def test_every_adapter_runs_its_contract() -> None:
    ports = {port.name for port in classes_in(PORTS) if "Protocol" in bases_of(port)}
    adapters = {found.name for found in classes_in(ADAPTERS) if bases_of(found) & ports}
    tests = ROOT / "tests"
    files = [*tests.glob("contracts/*.py"), *tests.rglob("test_contracts.py")]
    runs = "".join(file.read_text("utf-8") for file in files)
    unnamed = {name for name in adapters if name not in runs}
    assert len(adapters) > 40
    assert unnamed <= set(RUN_OTHERWISE)
