"""`prosa chat --url`: the same chat, with a server that answers."""

import asyncio
import signal
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from prosa.adapters.in_memory.authenticator import InMemoryAuthenticator
from prosa.adapters.in_memory.language_model import ScriptedLanguageModel
from prosa.domain.caller import Caller
from prosa.domain.identifiers import DEFAULT_TENANT
from tests.entrypoints.cli.running import SECONDS, CommandLine, Main
from tests.entrypoints.cli.sitting import sitting_down
from tests.entrypoints.http.serving import (
    InMemoryParts,
    PausingModel,
    app_of,
    parts_with,
    served_on_loopback,
)

REPLY = "Saiu hoje. Chega amanhã."


@pytest.fixture
def parts() -> InMemoryParts:
    return parts_with(ScriptedLanguageModel(default=REPLY))


@asynccontextmanager
async def at_work(parts: InMemoryParts) -> AsyncIterator[str]:
    """Serve, and give the address."""
    async with served_on_loopback(app_of(parts)) as server:
        yield str(server.base_url)


async def run(
    prosa: CommandLine, *arguments: str, text: str = ""
) -> subprocess.CompletedProcess[str]:
    return await asyncio.to_thread(prosa.run, "chat", *arguments, text=text)


async def test_lines_are_messages_to_the_server_and_a_conversation_is_resumed(
    prosa: CommandLine, parts: InMemoryParts
) -> None:
    async with at_work(parts) as url:
        first = await run(prosa, "--url", url, text="Olá!\nE o meu pedido?\n")
        (conversation,) = parts.storage.of(DEFAULT_TENANT).headers
        again = await run(prosa, "--url", url, "--conversation", conversation, text="Oi de novo.")
    assert (first.returncode, first.stdout) == (0, f"{REPLY}\n{REPLY}\n")
    assert f"prosa chat --url {url} --conversation {conversation}\n" in first.stderr
    assert (again.returncode, again.stdout) == (0, f"{REPLY}\n")
    assert parts.storage.of(DEFAULT_TENANT).headers[conversation].message_count == 6
    assert not (prosa.folder / "prosa.db").exists()


async def test_a_token_is_read_from_its_file(
    prosa: CommandLine, parts: InMemoryParts, tmp_path: Path
) -> None:
    callers = {"good": Caller(tenant_id=DEFAULT_TENANT, name="shop")}
    guarded = replace(parts, authenticator=InMemoryAuthenticator(callers))
    file = tmp_path / "token"
    async with at_work(guarded) as url:
        for token, code, said in [("good\n", 0, f"{REPLY}\n"), ("bad", 1, "")]:
            file.write_text(token)
            ended = await run(prosa, "--url", url, "--token-file", str(file), text="Olá!")
            assert (ended.returncode, ended.stdout) == (code, said)
    assert ended.stderr.startswith("prosa: unauthenticated: ")
    assert "bad" not in ended.stderr


async def test_what_the_server_refuses_is_one_sentence_and_the_chat_goes_on(
    prosa: CommandLine, parts: InMemoryParts
) -> None:
    async with at_work(parts) as url:
        ended = await run(prosa, "--url", url, text=f"{'a' * 8_001}\nOlá!\n")
        (conversation,) = parts.storage.of(DEFAULT_TENANT).headers
        parts.hand_over(conversation)
        handed = await run(prosa, "--url", url, "--conversation", conversation, text="Oi!")
    assert (ended.returncode, ended.stdout) == (1, f"{REPLY}\n")
    assert ended.stderr.startswith("prosa: validation_error: ")
    assert (handed.returncode, handed.stdout) == (0, "")
    assert "uma pessoa está cuidando desta conversa" in handed.stderr


async def test_an_interruption_ends_the_answer_and_not_the_turn(prosa: CommandLine) -> None:
    model = PausingModel()
    loop = asyncio.get_running_loop()

    def converse(url: str) -> None:
        with sitting_down(prosa, "--url", url) as sitting:
            screen, program = sitting.screen, sitting.program
            screen.wait_for(f"Quem responde é {url}.")
            screen.wait_for("Você   ")
            screen.type("Olá!\n")
            screen.wait_for("Prosa  Um momento.")
            program.send_signal(signal.SIGINT)
            screen.wait_for("Resposta interrompida.")
            loop.call_soon_threadsafe(model.may_go_on.set)
            screen.wait_for("Você   ")
            screen.type("E agora?\n")
            screen.wait_for("Prosa  Um momento. Vejamos.")
            screen.wait_for("Você   ")
            screen.type("/sair\n")
            screen.wait_for("--conversation conv_")
            assert program.wait(SECONDS) == 0

    async with at_work(parts_with(model)) as url:
        await asyncio.to_thread(converse, url)


def test_a_server_that_is_not_there_is_one_sentence(
    main: Main, monkeypatch: pytest.MonkeyPatch
) -> None:
    lines = iter(["Olá!"])
    monkeypatch.setattr("builtins.input", lambda: next(lines, None) or _end())
    ended = main("chat", "--url", "http://127.0.0.1:9")
    assert (ended.code, ended.out) == (1, "")
    assert ended.err.startswith("prosa: http://127.0.0.1:9 does not answer: ")
    assert ended.err.count("\n") == 1


def _end() -> str:
    raise EOFError


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--url", "example.com"], "prosa: --url: the server's url should begin with http"),
        (["--token-file", "x"], "say which one with --url"),
    ],
)
def test_arguments_that_make_no_sense_are_one_sentence(
    main: Main, arguments: list[str], said: str
) -> None:
    ended = main("chat", *arguments)
    assert ended.code
    assert said in ended.err
