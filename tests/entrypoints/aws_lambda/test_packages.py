"""What is deployed: built twice it has the same bytes, and it works with nothing else around."""

import asyncio
import json
import re
import subprocess
import sys
import sysconfig
import zipfile
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import get_args

import pytest

from infrastructure.lambda_packages import (
    AWS_SERVICES,
    PACKAGES,
    Package,
    PackageError,
    Target,
    build,
)
from prosa.adapters.aws_client import Service
from tests.entrypoints.aws_lambda.test_schedules import EVENT, NONE_RELAYED, RELAY, leave_events
from tests.lambda_runtime import ROOT, lambda_function

OF_THE_RUNTIME = ("awslambdaric", "runtime_client", "simplejson", "snapshot_restore_py")
"""What Lambda's runtime has of its own."""

TAKEN_WHERE_IT_IS_THERE = {
    "prosa": "an editable install has no files of its own",
    "psutil": "OpenTelemetry looks for it, and goes without",
    "sniffio": "anyio looks for it, and goes without",
    "setuptools": "a .pth file of the environment loads it",
    "simplejson": "requests looks for it, and goes without",
}

NOT_CACHED = "the network was disabled"


@pytest.fixture(scope="module")
def built_twice(tmp_path_factory: pytest.TempPathFactory) -> tuple[Package, ...]:
    """Build the smallest package for this machine, of what `make install` has left with uv."""
    folders = [tmp_path_factory.mktemp("package") for _ in range(2)]
    to = partial(build, "relay")
    try:
        with ThreadPoolExecutor(2) as threads:
            return tuple(threads.map(lambda folder: to(folder, Target(), "--offline"), folders))
    except PackageError as error:
        if NOT_CACHED in str(error):
            pytest.skip("uv has not cached what packages hold: make install does it by uv")
        raise


@pytest.fixture(scope="module")
def unzipped(built_twice: tuple[Package, ...], tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("unzipped")
    with zipfile.ZipFile(built_twice[0].file) as package:
        package.extractall(folder)
    return folder


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    """Make a folder of what Lambda's runtime has, and nothing else."""
    folder = tmp_path / "runtime"
    folder.mkdir()
    for name in OF_THE_RUNTIME:
        for found in Path(sysconfig.get_path("purelib")).glob(f"{name}*"):
            (folder / found.name).symlink_to(found)
    return folder


def test_the_same_sources_make_the_same_bytes(built_twice: tuple[Package, ...]) -> None:
    first, second = built_twice
    assert first.file != second.file
    assert first.sha256 == second.sha256


def test_a_package_tells_nothing_of_the_machine_that_built_it(unzipped: Path) -> None:
    here = str(ROOT).encode()
    assert not [
        path for path in unzipped.rglob("*") if path.is_file() and here in path.read_bytes()
    ]
    assert not [*unzipped.rglob("direct_url.json")]
    assert not (unzipped / "bin").exists()


def test_a_package_has_every_module_compiled_and_needs_no_look_at_its_source(
    unzipped: Path,
) -> None:
    modules = [*unzipped.glob("prosa/**/*.py")]
    assert len(modules) > 100
    for module in modules:
        compiled = (
            module.parent / "__pycache__" / f"{module.stem}.{sys.implementation.cache_tag}.pyc"
        )
        # PEP 552: the flags say that it is found by the source's hash, which nobody checks.
        assert compiled.read_bytes()[4:8] == (0b01).to_bytes(4, "little")


def test_a_package_knows_the_services_of_aws_that_prosa_calls_and_few_others(
    unzipped: Path,
) -> None:
    known = {folder.name for folder in (unzipped / "botocore" / "data").glob("*/")}
    assert known == AWS_SERVICES
    assert {"bedrock-runtime", *get_args(Service)} <= known


def test_its_function_works_with_nothing_else_around(
    unzipped: Path, runtime: Path, postgres_url: str, tmp_path: Path
) -> None:
    asyncio.run(leave_events(postgres_url, 1))
    variables = {"PROSA_DATABASE_URL": postgres_url, "PYTHONPATH": f"{unzipped}:{runtime}"}
    with lambda_function(RELAY, variables, tmp_path) as relay:
        relay.start("-S")
        # Other tests' events are there, too.
        assert relay.invoke(EVENT)["published"] >= 3
        assert relay.invoke(EVENT) == NONE_RELAYED
        assert relay.starts == 1


OPENED = {
    "server": ["aws_lambda.migrate:handler", "cli.main:main", "cli.serve:http_app"],
    "http": ["aws_lambda.http:handler"],
    "turns": [
        "aws_lambda.consume_events:handler",
        "aws_lambda.consume_messages:handler",
        "aws_lambda.recover_turns:handler",
        "step_functions.take_turn:generate",
    ],
    "relay": ["aws_lambda.relay_outbox:handler", "step_functions.take_turn:publish"],
}


@pytest.mark.parametrize("package", PACKAGES)
def test_all_that_a_function_loads_is_in_its_package(
    package: str, postgres_url: str, tmp_path: Path
) -> None:
    code = f"""
import importlib, json, sys
for opened in {OPENED[package]}:
    module, name = opened.split(":")
    getattr(importlib.import_module(f"prosa.entrypoints.{{module}}"), name)
print(json.dumps(sorted({{name.partition(".")[0] for name in sys.modules}})))
"""
    everything = {
        "PROSA_DATABASE_URL": postgres_url,
        "PROSA_MODELS": "bedrock:amazon.nova-lite-v1:0,openai:gpt-4o-mini",
        "PROSA_OPENAI_BASE_URL": "http://127.0.0.1:9/v1",
        "PROSA_EVENT_BUS": "eventbridge",
        "PROSA_AUTH": "jwt",
        "PROSA_JWT_ISSUER": "https://issuer.test",
        "PROSA_JWT_CLIENT_IDS": "web",
        "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9",
        "AWS_DEFAULT_REGION": "eu-west-1",
    }
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=tmp_path,
        env={"PYTHONPATH": str(ROOT), **everything},
        capture_output=True,
        text=True,
        check=True,
    )
    homes = packages_distributions()
    loaded = {normal(home) for name in json.loads(done.stdout) for home in homes.get(name, ())}
    lock = (ROOT / "requirements" / f"lambda-{package}.txt").read_text()
    locked = {normal(name) for name in re.findall(r"^([\w.-]+)==", lock, re.MULTILINE)}
    assert loaded - locked <= TAKEN_WHERE_IT_IS_THERE.keys()


def normal(name: str) -> str:
    """Write a distribution's name as PEP 503 has it."""
    return re.sub(r"[-_.]+", "-", name).lower()
