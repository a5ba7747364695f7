"""`prosa serve` in processes of its own: it answers, it ends, and a restart loses nothing."""

import re
import signal
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from prosa.entrypoints.cli.serve import announce
from prosa.settings import ModelName, Settings
from tests.entrypoints.cli.running import SECONDS, CommandLine

AWAY = "postgresql+asyncpg://u:p@127.0.0.1:9/shop"


@contextmanager
def serving(
    prosa: CommandLine, *arguments: str, **variables: str
) -> Iterator[tuple[subprocess.Popen[str], httpx.Client]]:
    """Serve on any free port within the block; what it announces says which."""
    variables = {"PROSA_LOG_LEVEL": "WARNING", **variables}  # below it, events are logged
    with prosa.started("serve", "--port", "0", *arguments, **variables) as server:
        assert server.stdout is not None
        announced = server.stdout.readline()
        address = re.search(r"http://127\.0\.0\.1:\d+", announced)
        assert address is not None, announced + server.communicate(timeout=SECONDS)[1]
        with httpx.Client(base_url=address[0], timeout=SECONDS) as client:
            yield server, client


def stop(server: subprocess.Popen[str], number: signal.Signals = signal.SIGTERM) -> tuple[int, str]:
    """Stop it; give its exit code and what it logged."""
    server.send_signal(number)
    _, logged = server.communicate(timeout=SECONDS)
    return server.returncode, logged


@contextmanager
def silent_model() -> Iterator[tuple[socket.socket, dict[str, str]]]:
    """A model that takes requests and never answers; the settings that name it."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(SECONDS)
        address = f"http://127.0.0.1:{listening.getsockname()[1]}/v1"
        yield listening, {"PROSA_MODELS": "openai:silent", "PROSA_OPENAI_BASE_URL": address}


def ask_in_vain(client: httpx.Client) -> None:
    with pytest.raises(httpx.TransportError):
        client.post("/v1/messages", json={"text": "Olá"})


def test_it_answers_and_a_restart_loses_nothing(prosa: CommandLine) -> None:
    with serving(prosa) as (server, client):
        answer = client.post("/v1/messages", json={"text": "Olá! Onde está o meu pedido?"})
        assert answer.status_code == 200
        turn = answer.json()
        assert turn["status"] == "completed"
        assert stop(server) == (0, "")
    # Closed to the end: SQLite leaves its log behind a process that was cut off.
    assert [file.name for file in prosa.folder.iterdir()] == ["prosa.db"]
    with serving(prosa) as (server, client):
        kept = client.get(f"/v1/conversations/{turn['conversation_id']}/messages").json()["data"]
        again = client.post(
            f"/v1/conversations/{turn['conversation_id']}/messages", json={"text": "E hoje?"}
        ).json()
        assert stop(server, signal.SIGINT) == (0, "")
    assert kept == [turn["message"], turn["reply"]]
    assert again["message"]["sequence"] == 3


def test_it_says_where_it_listens_who_answers_and_what_to_try(prosa: CommandLine) -> None:
    with prosa.started("serve", "--port", "0") as server:
        assert server.stdout is not None
        where, example = server.stdout.readline(), server.stdout.readline()
        assert stop(server) == (0, "")
    assert re.fullmatch(
        r"Prosa listens on (http://127\.0\.0\.1:\d+); scripted answers\. Docs: \1/docs\n", where
    )
    assert re.fullmatch(
        r"Try: curl http://127\.0\.0\.1:\d+/v1/messages -H 'content-type: application/json' "
        r"""-d '\{"text": "Olá! Onde está o meu pedido\?"\}'\n""",
        example,
    )


def test_what_is_to_try_is_in_a_language_that_the_model_speaks(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        for models in ("local", "scripted"):
            announce(Settings(models=(ModelName(adapter=models),), locale="pt-BR"), listening)
    examples = [line for line in capsys.readouterr().out.splitlines() if line.startswith("Try: ")]
    assert "Where is my order?" in examples[0]
    assert "Onde está o meu pedido?" in examples[1]


@pytest.mark.parametrize("workers", ["1", "2"])
def test_the_second_interruption_stops_what_runs(prosa: CommandLine, workers: str) -> None:
    with (
        silent_model() as (model, variables),
        serving(prosa, "--workers", workers, **variables) as (server, client),
    ):
        asking = threading.Thread(target=ask_in_vain, args=[client])
        asking.start()
        with model.accept()[0]:
            server.send_signal(signal.SIGINT)
            assert server.stdout is not None
            server.stdout.readline()  # what to try
            assert server.stdout.readline() == (
                "Finishing what runs (at most 30 s); Ctrl-C again to stop now.\n"
            )
            assert stop(server, signal.SIGINT) == (130, "")
        asking.join(SECONDS)


def test_it_starts_without_its_database_and_says_so(prosa: CommandLine) -> None:
    with serving(prosa, PROSA_DATABASE_URL=AWAY, PROSA_DOCS="false") as (server, client):
        assert client.get("/healthz").status_code == 200
        assert client.get("/readyz").status_code == 503
        assert client.get("/docs").status_code == 404
        refused = client.post("/v1/messages", json={"text": "Olá"})
        assert (refused.status_code, refused.json()["code"]) == (503, "storage_unavailable")
        code, logged = stop(server)
    assert code == 0
    assert "starting without a database: Postgres at 127.0.0.1:9, database shop" in logged
    assert "Olá" not in logged


@pytest.mark.parametrize("workers", ["1", "2"])
def test_without_authentication_a_page_whose_name_leads_here_is_refused(
    prosa: CommandLine, workers: str
) -> None:
    with serving(prosa, "--workers", workers) as (server, client):
        own, other = (
            client.get("/v1/conversations", headers={"Host": host}).status_code
            for host in ("localhost:8000", "evil.example")
        )
        assert stop(server)[0] == 0
    assert (own, other) == (200, 403)


def test_several_processes_serve_one_port(prosa: CommandLine) -> None:
    with serving(prosa, "--workers", "2") as (server, client):
        answers = [client.post("/v1/messages", json={"text": "Olá"}) for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200] * 4
        assert stop(server) == (0, "")


@pytest.mark.parametrize("workers", ["1", "2"])
def test_what_cannot_be_opened_is_one_sentence(prosa: CommandLine, workers: str) -> None:
    ended = prosa.run("serve", "--port", "0", "--workers", workers, PROSA_MODELS="openai:gpt-4o")
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr == (
        "prosa: PROSA_MODELS names openai:gpt-4o: set OPENAI_API_KEY, "
        "or PROSA_OPENAI_BASE_URL to a server that needs no key\n"
    )
