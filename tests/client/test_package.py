"""The package: one source for both clients, nothing heavy loaded, everything documented."""

import inspect
import json
import re
import subprocess
import sys

import pytest

from prosa import client
from prosa.client import AsyncClient, Client
from tests.client.generation import GENERATED, SOURCE, synchronous

HEAVY = {
    "fastapi",
    "sqlalchemy",
    "pydantic_settings",
    "aiohttp",
    "openai",
    "boto3",
    "rich",
    "typer",
}


def test_the_client_without_asyncio_is_generated_from_the_other() -> None:
    assert GENERATED.read_text("utf-8") == synchronous(SOURCE.read_text("utf-8")), (
        "write it anew: make format"
    )


def test_the_client_without_asyncio_knows_nothing_of_asyncio() -> None:
    _, _, generated = GENERATED.read_text("utf-8").partition("\nimport ")
    assert "respond_async" in generated.lower()
    assert not re.search("async|await", generated.lower().replace("respond_async", ""))


def test_both_clients_offer_the_same() -> None:
    def offered(kind: type) -> dict[str, list[str]]:
        return {
            name: list(inspect.signature(method).parameters)
            for name, method in inspect.getmembers(kind, inspect.isfunction)
            if not name.startswith("_")
        }

    assert offered(AsyncClient) == offered(Client)
    assert len(offered(Client)) == 13


@pytest.mark.parametrize("name", client.__all__)
def test_every_public_name_is_documented(name: str) -> None:
    offered = getattr(client, name)
    if inspect.isclass(offered):
        assert inspect.getdoc(offered)


def test_it_loads_no_technology_of_servers() -> None:
    program = "import json, sys; import prosa.client; print(json.dumps([*sys.modules]))"
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        check=True,
        encoding="utf-8",
        timeout=60,
    )
    loaded = {name.partition(".")[0] for name in json.loads(ended.stdout)}
    ours = {name for name in json.loads(ended.stdout) if name.startswith("prosa.")}
    assert not loaded & HEAVY
    assert {name.split(".")[1] for name in ours} <= {"client", "domain"}


def test_where_its_http_client_is_not_installed_it_says_what_to_install() -> None:
    program = "import sys; sys.modules['httpx2'] = None; import prosa.client"
    ended = subprocess.run(
        [sys.executable, "-c", program],
        check=False,
        capture_output=True,
        encoding="utf-8",
        timeout=60,
    )
    assert ended.stderr.splitlines()[-1] == (
        "ModuleNotFoundError: prosa.client calls servers by httpx2: install prosa[client]"
    )
