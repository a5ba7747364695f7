"""Programs that a benchmark starts: each ends with the `with` block that started it, by its id."""

import http.client
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).resolve().parents[1]
_NOT_INHERITED: Final = ("PROSA_", "OPENAI_", "AWS_", "OTEL_", "PYTHON")
_STOP_SECONDS: Final = 15
_SHOWN_LINES: Final = 20


class BenchmarkError(Exception):
    """A benchmark cannot go on: its figures would be wrong or missing."""


def python(*arguments: str) -> list[str]:
    """Give the command that runs this interpreter."""
    return [sys.executable, *arguments]


def environment(scratch: Path, settings: Mapping[str, str]) -> dict[str, str]:
    """Give a child its settings and nothing of the caller's that could change the figures.

    Bytecode is cached in the scratch folder: every run begins alike and leaves nothing behind.
    """
    inherited = {name: text for name, text in os.environ.items() if not _is_left_out(name)}
    search_path = {"PYTHONPATH": str(ROOT), "PYTHONPYCACHEPREFIX": str(scratch / "bytecode")}
    return {**inherited, **search_path, **settings}


def _is_left_out(name: str) -> bool:
    return name.startswith(_NOT_INHERITED) or name.lower().endswith("_proxy")


def run(
    command: Sequence[str], *, scratch: Path, settings: Mapping[str, str], seconds: float
) -> str:
    """Run a command and return what it printed; `BenchmarkError` if it fails or takes too long."""
    try:
        done = subprocess.run(  # noqa: S603 - our own commands
            command,
            cwd=scratch,
            env=environment(scratch, settings),
            timeout=seconds,
            check=False,
            text=True,
            capture_output=True,
        )
    except subprocess.TimeoutExpired as expired:
        raise BenchmarkError(f"took over {seconds} s: {_words(command)}") from expired
    if done.returncode:
        raise BenchmarkError(
            f"exit code {done.returncode}: {_words(command)}\n{_tail(done.stdout + done.stderr)}"
        )
    return done.stdout


@contextmanager
def running(
    command: Sequence[str], *, scratch: Path, settings: Mapping[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Keep a command running within the block; if the block fails, say what the command said."""
    log = scratch / f"{time.time_ns()}.log"
    with log.open("wb") as output:
        child = subprocess.Popen(  # noqa: S603 - our own commands
            command,
            cwd=scratch,
            env=environment(scratch, settings),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        yield child
    except BenchmarkError as error:
        if said := _tail(log.read_text(errors="replace")):
            raise BenchmarkError(f"{error}\n--- {_words(command)}\n{said}") from error
        raise
    finally:
        _end(child)


def _end(child: subprocess.Popen[bytes]) -> None:
    child.terminate()
    try:
        child.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _words(command: Sequence[str]) -> str:
    return " ".join(["python", *command[1:]] if command[0] == sys.executable else command)


def _tail(text: str) -> str:
    return "\n".join(text.strip().splitlines()[-_SHOWN_LINES:])


def free_port() -> int:
    """Give a port of the loopback interface that nobody uses now."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def wait_until_ready(
    child: subprocess.Popen[bytes],
    port: int,
    path: str,
    *,
    seconds: float = 60,
    pause: float = 0.02,
) -> None:
    """Wait for the first 200 of a path; `BenchmarkError` if the child ends or time runs out."""
    end = time.monotonic() + seconds
    while not _answers(port, path):
        if child.poll() is not None:
            raise BenchmarkError(f"it ended with exit code {child.returncode} before it was ready")
        if time.monotonic() >= end:
            raise BenchmarkError(f"no 200 from {path} within {seconds} s")
        time.sleep(pause)


def _answers(port: int, path: str) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path)
        return connection.getresponse().status == http.HTTPStatus.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def cpu_seconds(process_id: int) -> float | None:
    """Give the processor time that a process has used, `None` where `/proc` does not tell."""
    try:
        fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")
