"""Tries the built wheel as a stranger has it: `make check-dist`.

It is installed into new environments, away from the sources: with each extra by itself, whose
modules have to import; with all of them, for the command line and a turn by the server; and with
what tests need, for the kit.
"""

import argparse
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements" / "dev.txt"

PACKAGES: Mapping[str, tuple[str, ...]] = {
    "sqlite": ("prosa.adapters.sql",),
    "postgres": ("prosa.adapters.sql",),
    "openai": ("prosa.adapters.openai",),
    "local": ("prosa.adapters.llama_cpp",),
    "resilience": ("prosa.adapters.resilience",),
    "aws": (
        "prosa.adapters.bedrock",
        "prosa.adapters.eventbridge",
        "prosa.adapters.secrets_manager",
        "prosa.adapters.sqs",
        "prosa.adapters.step_functions",
    ),
    "http": ("prosa.entrypoints.http",),
    "jwt": ("prosa.adapters.jwt",),
    "cli": ("prosa.entrypoints.cli",),
    "otel": ("prosa.adapters.opentelemetry",),
    "client": ("prosa.client",),
    "testing": ("prosa.testing",),
}
"""What each extra is for, by itself: all that these hold has to import."""

NOT_BY_ITSELF: Mapping[str, str] = {
    "prosa.adapters.sql.migrations.env": "Alembic runs it",
    "prosa.entrypoints.cli.chat_there": "for `chat --url`, which says that it needs `client`",
    "prosa.entrypoints.cli.connections": "for `serve`, which says that it needs `http`",
    "prosa.entrypoints.cli.stopping": "as connections",
}
"""Modules that are not imported, each with its reason."""

OF_THE_CORE = ("prosa.domain", "prosa.application", "prosa.settings")
"""What needs no extra."""

FOR_THE_KIT = "resilience,sqlite,testing"
"""What docs/extending.md says that tests of adapters need."""

IMPORT_ALL = """
import importlib, pkgutil, sys
import prosa
left_out, *names = sys.argv[1:]
for name in names:
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(getattr(package, "__path__", ()), f"{name}."):
        if module.name not in left_out.split():
            importlib.import_module(module.name)
print(prosa.__file__)
"""

JOURNEY = """
import sys
from prosa.client import Client
with Client(sys.argv[1], seconds=60) as prosa:
    turn = prosa.send_message("Oi! Cadê o meu pedido?", customer_id="ana")
    assert turn.status == "completed", turn
    assert turn.reply.text, turn
    assert prosa.read_turn(turn.id).reply.text == turn.reply.text
"""

KIT = """
from prosa import CustomerMessage

async def test_an_application_answers(open_prosa, prosa_model):
    prosa_model.script.append("Saiu hoje.")
    async with open_prosa() as app:
        outcome = await app.take_turn(CustomerMessage(text="Cadê meu pedido?"))
    assert outcome.turn.reply.text == "Saiu hoje."
"""


class DistributionError(Exception):
    """The wheel is not what it should be: the text says how."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Installed:
    """An environment with the wheel, and an empty folder to work in."""

    python: Path
    folder: Path

    def run(self, *command: str, seconds: float = 120) -> str:
        """Run a program of the environment; what it printed. Raises DistributionError."""
        return _run(
            str(self.python.with_name(command[0])), *command[1:], at=self.folder, seconds=seconds
        )

    def python_says(self, program: str, *arguments: str) -> str:
        """Run a text as a program, isolated: no folder but the environment's is on its path."""
        return self.run("python", "-I", "-W", "error", "-c", program, *arguments)


def install(wheel: Path, extras: str, folder: Path) -> Installed:
    """Make an environment that has the wheel with extras, at the locked versions, and no more."""
    environment = folder / "environment"
    work = folder / "work"
    work.mkdir(parents=True)
    uv = (sys.executable, "-m", "uv")
    _run(*uv, "venv", "--quiet", "--python", sys.executable, str(environment), at=work)
    python = environment / "bin" / "python"
    wanted = f"{wheel}[{extras}]" if extras else str(wheel)
    to_it = ("--quiet", "--python", str(python), "--constraint", str(LOCK))
    _run(*uv, "pip", "install", *to_it, wanted, at=work, seconds=600)
    return Installed(python=python, folder=work)


def check_contents(wheel: Path) -> None:
    """See that the wheel has all that the package's folder has. Raises DistributionError."""
    shipped = {name for name in zipfile.ZipFile(wheel).namelist() if name.startswith("prosa/")}
    folder = ROOT / "prosa"
    ours = {path for path in folder.rglob("*") if path.is_file() and path.suffix != ".pyc"}
    missing = {path.relative_to(ROOT).as_posix() for path in ours} ^ shipped
    if missing:
        raise DistributionError(f"{wheel.name} and prosa/ differ in {', '.join(sorted(missing))}")


def check_imports(installed: Installed, packages: tuple[str, ...]) -> None:
    """See that modules import, and from the environment. Raises DistributionError."""
    where = installed.python_says(IMPORT_ALL, " ".join(NOT_BY_ITSELF), *packages).strip()
    if not where.startswith(str(installed.python.parents[1])):
        raise DistributionError(f"prosa was imported from {where}, and not from the environment")


def check_server(installed: Installed) -> None:
    """Have the command line speak, and the server take a turn. Raises DistributionError."""
    if "serve" not in installed.run("prosa", "--help"):
        raise DistributionError("prosa --help does not tell of serve")
    port = _free_port()
    command = (str(installed.python.with_name("prosa")), "serve", "--port", str(port))
    settings = {"PROSA_MODELS": "scripted", "PROSA_EVENT_BUS": "", "PROSA_LOG_LEVEL": "WARNING"}
    with subprocess.Popen(command, cwd=installed.folder, env=_environment(settings)) as server:  # noqa: S603 - the wheel's own command
        try:
            _wait_for(port, server)
            installed.python_says(JOURNEY, f"http://127.0.0.1:{port}")
        finally:
            server.terminate()


def check_kit(installed: Installed) -> None:
    """Run a test of a stranger's by the kit's plugin. Raises DistributionError."""
    (installed.folder / "test_stranger.py").write_text(KIT, encoding="utf-8")
    options = ("-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function")
    installed.run("pytest", "-q", *options, "test_stranger.py")


def check(wheel: Path, scratch: Path) -> None:
    """Check all of it. Raises DistributionError."""
    check_contents(wheel)
    check_imports(_installed(wheel, "", scratch), OF_THE_CORE)
    for extra, packages in PACKAGES.items():
        check_imports(_installed(wheel, extra, scratch), packages)
    check_server(_installed(wheel, "all", scratch))
    check_kit(_installed(wheel, FOR_THE_KIT, scratch))


def _installed(wheel: Path, extras: str, scratch: Path) -> Installed:
    print(f"prosa[{extras}]" if extras else "prosa", flush=True)  # noqa: T201 - to tell how far it is
    folder = scratch / "one"
    shutil.rmtree(folder, ignore_errors=True)
    return install(wheel, extras, folder)


def _run(*command: str, at: Path, seconds: float = 120) -> str:
    ended = subprocess.run(  # noqa: S603 - our own commands
        command,
        cwd=at,
        env=_environment({}),
        capture_output=True,
        text=True,
        check=False,
        timeout=seconds,
    )
    if ended.returncode:
        raise DistributionError(f"{' '.join(command)}\n{ended.stdout}{ended.stderr}")
    return ended.stdout


def _environment(settings: Mapping[str, str]) -> dict[str, str]:
    """Leave out what would bring the sources back onto the path, and settings of this shell."""
    ours = ("PYTHON", "PROSA_", "VIRTUAL_ENV")
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
    return {**kept, **settings}


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port: int = taken.getsockname()[1]
    return port


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 60
    while time.monotonic() < until and server.poll() is None:
        with socket.socket() as attempt:
            if attempt.connect_ex(("127.0.0.1", port)) == 0:
                return
        time.sleep(0.1)
    raise DistributionError("prosa serve did not come up within a minute")


def main() -> int:
    """Check a wheel; 1 if it is not what it should be."""
    parser = argparse.ArgumentParser(description="Try the built wheel as a stranger has it.")
    parser.add_argument("wheel", type=Path)
    wheel = parser.parse_args().wheel.resolve()
    try:
        with tempfile.TemporaryDirectory() as scratch:
            check(wheel, Path(scratch))
    except DistributionError as error:
        print(error, file=sys.stderr)  # noqa: T201 - a command's output
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
