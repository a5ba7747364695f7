"""The programs in the documents run as they stand there."""

import asyncio
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.conftest import REPLY
from tests.client.network import Network

ROOT = Path(__file__).parents[2]
DOCUMENTS = ("README.md", "README.pt-BR.md", "docs/client.md")


def programs() -> Iterator[tuple[str, str]]:
    for name in DOCUMENTS:
        text = (ROOT / name).read_text("utf-8")
        blocks = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
        yield from ((name, block) for block in blocks if "prosa.client" in block)


@pytest.mark.asyncio(loop_scope="module")
@pytest.mark.parametrize(("name", "program"), list(programs()))
async def test_a_documented_program_prints_the_reply(
    network: Network, capsys: pytest.CaptureFixture[str], name: str, program: str
) -> None:
    assert "http://127.0.0.1:8000" in program
    code = compile(program.replace("http://127.0.0.1:8000", network.url), name, "exec")
    await asyncio.to_thread(exec, code, {})
    assert capsys.readouterr().out.strip() == REPLY


def test_each_document_has_a_program() -> None:
    assert {name for name, _ in programs()} == set(DOCUMENTS)
