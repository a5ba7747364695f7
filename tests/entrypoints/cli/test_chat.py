"""`prosa chat`: as a person sees it on a terminal, and as a program uses it through a pipe."""

import re
import socket
import sqlite3
from collections.abc import Iterator

import pytest

from tests.entrypoints.cli.running import SECONDS, CommandLine
from tests.entrypoints.cli.sitting import Sitting, sitting_down

REPLY = "This is a scripted reply: no language model is configured."
CTRL_D = "\x04"


@pytest.fixture
def sitting(prosa: CommandLine) -> Iterator[Sitting]:
    with sitting_down(prosa) as sitting:
        yield sitting


@pytest.fixture
def hanging_sitting(prosa: CommandLine) -> Iterator[Sitting]:
    """A chat with a model that takes requests and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        address = f"http://127.0.0.1:{silent.getsockname()[1]}/v1"
        variables = {"PROSA_MODELS": "openai:silent", "PROSA_OPENAI_BASE_URL": address}
        with sitting_down(prosa, **variables) as sitting:
            yield sitting


def conversation_in(text: str) -> str:
    found = re.search(r"conv_[0-9a-f]{32}", text)
    assert found is not None, text
    return found[0]


def test_a_person_talks_and_is_told_how_to_go_on(sitting: Sitting) -> None:
    screen = sitting.screen
    assert "Quem responde é scripted." in screen.wait_for("Você   ")
    screen.type("Olá!\n")
    # Words are not broken, and a line goes on under the first.
    screen.wait_for("Prosa  This is a scripted reply: no\n       language model is configured.\n")
    screen.wait_for("Você   ")
    screen.type("/sair\n")
    screen.wait_for("Para continuar esta conversa:\nprosa chat --conversation conv_")
    assert sitting.program.wait(SECONDS) == 0


def test_the_end_of_the_input_ends_the_chat(sitting: Sitting) -> None:
    sitting.screen.wait_for("Você   ")
    sitting.screen.type(CTRL_D)
    assert sitting.program.wait(SECONDS) == 0


def test_an_interruption_ends_the_answer_then_the_chat(hanging_sitting: Sitting) -> None:
    screen, program = hanging_sitting.screen, hanging_sitting.program
    for _ in range(2):
        screen.wait_for("Você   ")
        screen.type("Olá!\n")
        # Not refused as busy the second time: the turn was given up.
        screen.wait_for("pensando…")
        hanging_sitting.interrupt()
        screen.wait_for("Resposta interrompida.")
    screen.wait_for("Você   ")
    hanging_sitting.interrupt()
    screen.wait_for("Para continuar esta conversa:")
    assert program.wait(SECONDS) == 0


def test_each_line_of_a_pipe_is_a_message_and_only_replies_are_printed(prosa: CommandLine) -> None:
    ended = prosa.run("chat", text="Olá!\n\n  \nE o meu pedido?\n/quit\nnever sent\n")
    assert ended.returncode == 0
    assert ended.stdout == f"{REPLY}\n{REPLY}\n"
    assert "prosa chat --conversation conv_" in ended.stderr


def test_a_conversation_is_resumed_by_its_id(prosa: CommandLine) -> None:
    conversation = conversation_in(prosa.run("chat", text="Olá!").stderr)
    ended = prosa.run("chat", "--conversation", conversation, text="Sou eu de novo.")
    assert ended.stdout == f"{REPLY}\n"
    assert conversation_in(ended.stderr) == conversation


def test_a_conversation_that_is_not_there_is_one_sentence(prosa: CommandLine) -> None:
    nowhere = "conv_" + "0" * 32
    ended = prosa.run("chat", "--conversation", nowhere, text="Olá!")
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr == f"prosa: there is no conversation {nowhere}\n"


def test_a_closed_conversation_is_not_offered_again(prosa: CommandLine) -> None:
    conversation = conversation_in(prosa.run("chat", text="Olá!").stderr)
    with sqlite3.connect(prosa.folder / "prosa.db") as database:
        database.execute("UPDATE conversations SET status = 'closed'")
    database.close()
    ended = prosa.run("chat", "--conversation", conversation, text="Sou eu de novo.")
    assert ended.returncode == 1
    assert ended.stdout == ""
    refused, farewell = ended.stderr.splitlines()
    assert refused.startswith("prosa: ")
    assert farewell == "Esta conversa está encerrada."


@pytest.mark.parametrize("word", ["/help", "/ajuda", "/exit", "/quit now"])
def test_words_for_the_chat_are_not_sent(prosa: CommandLine, word: str) -> None:
    ended = prosa.run("chat", text=f"{word}\n", PROSA_LOCALE="en")
    assert (ended.returncode, ended.stdout) == (0, "")
    assert ended.stderr == "/help or /ajuda shows these words; /quit or /sair ends the chat.\n"


def test_a_path_is_sent(prosa: CommandLine) -> None:
    assert prosa.run("chat", text="/etc/hosts is empty\n").stdout == f"{REPLY}\n"


def test_without_its_database_it_stops_at_once(prosa: CommandLine) -> None:
    away = "postgresql+asyncpg://u:p@127.0.0.1:9/shop"
    ended = prosa.run("chat", text="Olá!", PROSA_DATABASE_URL=away)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith("prosa: Postgres at 127.0.0.1:9, database shop: ")
    assert ended.stderr.count("\n") == 1


def test_a_failure_is_one_sentence_and_the_chat_goes_on(prosa: CommandLine) -> None:
    ended = prosa.run("chat", text=f"{'a' * 8_001}\nOlá!\n", PROSA_LOCALE="en")
    assert ended.returncode == 1
    assert ended.stdout == f"{REPLY}\n"
    refused, farewell, _ = ended.stderr.splitlines()
    assert refused == "prosa: a message may have 8000 characters; this one has 8001"
    assert farewell == "To go on with this conversation:"


def test_a_model_that_is_away_is_one_sentence(prosa: CommandLine) -> None:
    ended = prosa.run(
        "chat",
        text="Olá!",
        PROSA_MODELS="openai:gpt-4o-mini",
        PROSA_OPENAI_BASE_URL="http://127.0.0.1:9/v1",
    )
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr.startswith(
        "prosa: the connection to openai:gpt-4o-mini failed: look whether a server answers at "
        "http://127.0.0.1:9, where PROSA_OPENAI_BASE_URL leads\n"
    )
