"""`make run-aws`: the whole path without an account, from its start to the last process's end."""

import json
import os
import shlex
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import psutil
import pytest

from embedded_aws import __main__ as command_line
from embedded_aws.installation import FILE
from embedded_aws.moto_server import sdk_variables

ROOT = Path(__file__).parents[2]
SECONDS = 60
"""For whatever is waited for, on a busy machine."""


@dataclass(frozen=True, kw_only=True)
class Developer:
    """Runs `python -m embedded_aws` in a folder, as the Makefile and its announcement say."""

    folder: Path

    @contextmanager
    def running(self) -> Iterator[subprocess.Popen[str]]:
        """Start it all on free ports, and wait until it is announced."""
        with subprocess.Popen(
            # The weights that a developer would have take long where many tests run.
            self._command("run", "--port", "0", "--aws-port", "0", "--behind", "scripted"),
            cwd=self.folder,
            encoding="utf-8",
            env=self._environment(),
            start_new_session=True,
            stderr=subprocess.STDOUT,
            stdout=subprocess.PIPE,
        ) as program:
            try:
                yield program
            finally:
                program.send_signal(signal.SIGINT)
                program.wait(SECONDS)

    def tries(self, *arguments: str) -> str:
        """Run a command beside it, and give what it prints."""
        return subprocess.run(
            self._command(*arguments),
            check=True,
            cwd=self.folder,
            encoding="utf-8",
            env=self._environment(),
            stdout=subprocess.PIPE,
            timeout=SECONDS,
        ).stdout

    def variables(self) -> dict[str, str]:
        """Read the file for shells."""
        lines = (self.folder / FILE).read_text().splitlines()
        assignments = [shlex.split(line)[1].partition("=") for line in lines]
        return {name: value for name, _, value in assignments}

    def _command(self, *arguments: str) -> list[str]:
        return [sys.executable, "-m", "embedded_aws", *arguments]

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ["PATH"],
            "HOME": str(self.folder),
            "PYTHONPATH": str(ROOT),
            "PYTHONUTF8": "1",
        }


def announced(program: subprocess.Popen[str]) -> str:
    """Read what it prints, up to the last line of the announcement."""
    assert program.stdout is not None
    text = ""
    for line in program.stdout:
        text += line
        if line.startswith("Ctrl-C"):
            break
    return text


def descendants(program: subprocess.Popen[str], database_url: str) -> list[psutil.Process]:
    """Find all that it started; Postgres has made itself independent."""
    (folder,) = parse_qs(urlsplit(database_url).query)["host"]
    servers = [one for one in psutil.process_iter(["cmdline"]) if folder in (one.cmdline() or ())]
    return [*psutil.Process(program.pid).children(recursive=True), *servers]


def runs(process: psutil.Process) -> bool:
    """Whether it has not ended; an orphan that has, may wait a moment for init to take note."""
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def ask(address: str, token: str) -> httpx.Response:
    return httpx.post(
        f"{address}/v1/messages",
        headers={"authorization": f"Bearer {token}"},
        json={"text": "Hello! Where is my order?"},
        timeout=SECONDS,
    )


def test_a_stranger_tries_the_whole_path_and_ends_it(tmp_path: Path) -> None:
    developer = Developer(folder=tmp_path)
    with developer.running() as program:
        told = announced(program)
        address = next(word for word in told.split() if word.startswith("http://"))
        variables = developer.variables()
        started = descendants(program, variables["PROSA_DATABASE_URL"])
        assert {one.name() for one in started} >= {"postgres"}
        token = developer.tries("token").strip()

        with ThreadPoolExecutor() as threads:
            pushing = threads.submit(developer.tries, "push", "Hello! How do I cancel my order?")
            answer = ask(address, token)
        turn: dict[str, Any] = answer.json()
        assert (answer.status_code, turn["status"]) == (200, "completed")
        assert turn["reply"]["provider"] == "bedrock"
        assert turn["reply"]["text"]
        assert httpx.post(f"{address}/v1/messages", json={"text": "Hi"}).status_code == 401

        reply = json.loads(pushing.result())
        assert reply["type"] == "conversation.reply.ready.v1"
        assert reply["tenantid"] == variables["PROSA_JWT_CLIENT_IDS"]
        delivered = [json.loads(line) for line in developer.tries("events").splitlines()]
        completed = {
            one["subject"] for one in delivered if one["type"] == "conversation.turn.completed.v1"
        }
        assert {turn["conversation_id"], reply["subject"]} <= completed

        developer.tries("rotate")
        listed = httpx.get(
            f"{address}/v1/conversations", headers={"authorization": f"Bearer {token}"}
        )
        assert [one["id"] for one in listed.json()["data"]] == [turn["conversation_id"]]

        os.killpg(program.pid, signal.SIGINT)  # as a terminal does
        rest, _ = program.communicate(timeout=SECONDS)
    assert program.returncode == 0
    assert "Traceback" not in rest
    assert [one for one in started if runs(one)] == []
    assert not (tmp_path / FILE).exists()


class TestMistakes:
    @pytest.fixture(autouse=True)
    def _elsewhere(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)

    def refusal(self, *arguments: str) -> str:
        """Run a command in this process, and give the sentence in which it ends."""
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(sys, "argv", ["embedded_aws", *arguments])
            with pytest.raises(SystemExit) as exited:
                command_line.main()
        return str(exited.value.code)

    @pytest.mark.parametrize(
        ("option", "variable"), [("--port", "PORT"), ("--aws-port", "AWS_PORT")]
    )
    def test_a_port_that_is_taken_is_named_before_anything_starts(
        self, option: str, variable: str
    ) -> None:
        with socket.create_server(("127.0.0.1", 0)) as taken:
            port = taken.getsockname()[1]
            said = self.refusal("run", "--port", "0", option, str(port))
        assert f"cannot listen on 127.0.0.1, port {port}: Address already in use" in said
        assert f"make run-aws {variable}={port + 1}" in said

    def test_behind_bedrock_is_one_model(self) -> None:
        said = self.refusal("run", "--port", "0", "--aws-port", "0", "--behind", "local,scripted")
        assert said == "embedded_aws: behind Bedrock is one model: MODELS=local"

    @pytest.mark.parametrize("arguments", [("token",), ("push", "Hi"), ("events",), ("rotate",)])
    def test_where_nothing_runs_it_says_what_to_start(self, arguments: tuple[str, ...]) -> None:
        said = self.refusal(*arguments)
        assert said == f"embedded_aws: there is no {FILE} here: start make run-aws first"

    def test_a_message_that_says_nothing_is_not_pushed(self) -> None:
        said = self.refusal("push", " ")
        assert said == "embedded_aws: text must have something in it that can be read"

    def test_where_nothing_runs_any_more_it_says_where_it_was(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        FILE.parent.mkdir()
        lines = {**sdk_variables("http://127.0.0.1:9"), "PROSA_JWT_CLIENT_IDS": "acme"}
        for name in lines:
            monkeypatch.setenv(name, "")  # so that they are as before afterwards
        FILE.write_text("".join(f"export {name}={value}\n" for name, value in lines.items()))
        assert '"http://127.0.0.1:9/"' in self.refusal("token")

    def test_a_user_that_the_pool_does_not_have_is_refused(
        self, capsys: pytest.CaptureFixture[str]
    ) -> None:
        assert self.refusal("token", "bob") == "2"
        assert "it has ana and desk" in capsys.readouterr().err
