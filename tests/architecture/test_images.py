"""The image: pinned, locked, without rights, and as the rest of the code has it."""

import re
import subprocess
import sys
import sysconfig
import tomllib
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from prosa.entrypoints.http.app import create_app
from tests.architecture.containers import (
    DOCKERFILE,
    PINNED,
    ROOT,
    Instruction,
    arguments,
    built,
    instructions,
    last,
    read_command,
    stages,
    variables,
)

SECONDS = 60
"""Far more than any of these programs takes, also on a busy machine."""

SHIPPED = ("", "prosa", "demonstration")
"""Stages that are run; others only build."""

NOBODY_IN_PARTICULAR = "10001:10001"
COMPILERS = re.compile(r"\b(build-essential|gcc|g\+\+|clang|cargo|make|\w+-dev)\b")


def runs(stage: str, word: str) -> list[Instruction]:
    return [one for one in built(stage) if one.word == word]


def copied_from_here() -> set[str]:
    """What the builder has to be given."""
    sources = [
        source
        for one in instructions()
        if one.word == "COPY" and not one.rest.startswith("--from=")
        for source in one.rest.split()[:-1]
    ]
    return {source.partition("/")[0] for source in sources}


def test_the_linter_finds_nothing() -> None:
    hadolint = Path(sysconfig.get_path("scripts"), "hadolint")
    found = subprocess.run(
        [hadolint, DOCKERFILE], capture_output=True, check=False, text=True, timeout=SECONDS
    )
    assert found.returncode == 0, found.stdout + found.stderr


def test_every_image_is_named_by_an_argument_whose_default_is_a_digest() -> None:
    bases = {stage.base for stage in stages().values()} - set(stages())
    assert bases == {f"${{{name}}}" for name in arguments()}
    for image in arguments().values():
        assert PINNED.fullmatch(image), image


@pytest.mark.parametrize("stage", SHIPPED)
def test_it_runs_as_a_user_without_rights_whose_number_says_so(stage: str) -> None:
    assert last("USER", stage).rest == NOBODY_IN_PARTICULAR


def test_an_image_that_is_built_without_naming_a_stage_is_the_one_for_production() -> None:
    final = list(stages().values())[-1]
    assert (final.name, final.base, final.instructions) == ("", "prosa", ())


@pytest.mark.parametrize("stage", SHIPPED)
def test_it_holds_no_compiler(stage: str) -> None:
    for one in runs(stage, "RUN"):
        assert not COMPILERS.search(one.rest), one.rest
        assert " pip " not in one.rest


def test_what_is_installed_is_locked_by_its_hashes_and_nothing_is_compiled() -> None:
    installs = [
        command
        for one in instructions()
        if one.word == "RUN"
        for command in one.rest.split("&&")
        if re.search(r"-m pip .*\b(install|wheel)\b", command)
    ]
    assert len(installs) == 6
    for command in installs:
        locked = {"--require-hashes", "--only-binary :all:"}
        wanted = locked if "-r requirements/" in command else {"--no-index"}
        assert all(option in command for option in wanted), command


def test_every_lock_that_is_installed_was_copied_before() -> None:
    given: set[str] = set()
    for one in instructions():
        if one.word == "COPY":
            given |= set(one.rest.split())
        for lock in re.findall(r"-r (requirements/\S+)", one.rest):
            assert lock in given
            assert (ROOT / lock).is_file()


def test_production_has_what_the_package_of_the_server_on_lambda_has() -> None:
    locks = re.findall(r"-r requirements/(\S+)", " ".join(one.rest for one in built("build")))
    assert locks == ["install.txt", "lambda-server.txt"]
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    assert "lambda-server" in groups["dependency-groups"]


def test_the_builder_is_given_what_is_copied_and_nothing_else() -> None:
    lines = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    rules = [line for line in lines if line and not line.startswith("#")]
    assert rules[0] == "*"
    assert {rule[1:] for rule in rules if rule.startswith("!")} == copied_from_here()
    for name in copied_from_here():
        assert (ROOT / name).exists()


def test_its_command_is_one_of_prosas_with_no_shell_around_it() -> None:
    command = [*last("ENTRYPOINT", "").words, *last("CMD", "").words]
    assert command[:2] == ["prosa", "serve"]
    read_command(command)
    assert last("STOPSIGNAL", "").rest == "SIGTERM"


def test_the_volume_for_keys_belongs_to_who_runs_it() -> None:
    folder = last("WORKDIR", "").rest
    (made,) = [one.rest for one in runs("", "RUN") if f" {folder}" in one.rest]
    assert re.search(rf"install --directory --owner prosa .*--mode 0755 {folder}$", made)
    assert f"useradd --uid {NOBODY_IN_PARTICULAR.partition(':')[0]} " in made


def test_on_lambda_the_adapter_is_told_what_the_documentation_says() -> None:
    page = (ROOT / "docs" / "aws.md").read_text(encoding="utf-8")
    documented = dict(re.findall(r"^(AWS_LWA_\w+)=(\S+)", page, re.MULTILINE))
    told = {name: value for name, value in variables("").items() if name.startswith("AWS_")}
    assert told == documented
    assert told["AWS_LWA_PORT"] == last("EXPOSE", "").rest
    copies = [one.rest for one in runs("", "COPY")]
    assert "--from=web-adapter /lambda-adapter /opt/extensions/lambda-adapter" in copies


class Answering(BaseHTTPRequestHandler):
    status = 200

    def do_GET(self) -> None:
        self.send_response(self.status if self.path == "/healthz" else 404)
        self.end_headers()

    def log_message(self, *_told: object) -> None:
        pass


class Failing(Answering):
    status = 503


def check_health(port: int) -> int:
    """Run the image's health check, of a server on another port."""
    options, _, command = last("HEALTHCHECK", "").rest.partition(" CMD ")
    assert "--timeout=5s" in options
    program = [
        word.replace(":8000/", f":{port}/") for word in Instruction(word="CMD", rest=command).words
    ]
    assert program[0] == "python3"
    assert f":{port}/" in program[-1]
    ended = subprocess.run(
        [sys.executable, *program[1:]], capture_output=True, check=False, timeout=SECONDS
    )
    return ended.returncode


@pytest.mark.parametrize(("answers", "well"), [(Answering, True), (Failing, False)])
def test_the_health_check_tells_a_server_that_lives(
    answers: type[Answering], *, well: bool
) -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), answers) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        assert (check_health(server.server_port) == 0) == well
        server.shutdown()


def test_the_health_check_fails_where_nothing_listens() -> None:
    assert check_health(9) != 0


def test_the_health_check_asks_a_route_of_the_api() -> None:
    assert "/healthz'" in last("HEALTHCHECK", "").rest
    api = create_app(lambda: pytest.fail("nothing is opened"))
    assert "/healthz" in {getattr(route, "path", None) for route in api.routes}
