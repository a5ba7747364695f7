"""The commands that end by themselves, and what each says where it cannot do its work."""

import json
import socket
import sys
from pathlib import Path

import pytest

from tests.entrypoints.cli.running import CommandLine, Main
from tests.sqs import a_queue

COMMANDS = ("serve", "chat", "relay", "recover", "migrate", "doctor", "openapi")
AWAY = "postgresql+asyncpg://u:hunter2@127.0.0.1:9/shop"


def test_help_names_every_command(main: Main) -> None:
    ended = main("--help")
    assert ended.code == 0
    assert all(command in ended.out for command in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(main: Main, command: str) -> None:
    ended = main(command, "-h")
    assert ended.code == 0
    assert f"prosa {command}" in ended.out


@pytest.mark.parametrize(
    "arguments",
    [
        ("sevre",),
        ("serve", "--port", "x"),
        ("serve", "--workers", "0"),
        ("chat", "--conversation", "conv_1"),
    ],
)
def test_wrong_arguments_exit_with_2(main: Main, arguments: tuple[str, ...]) -> None:
    ended = main(*arguments)
    assert ended.code == 2
    assert ended.out == ""
    assert "Error" in ended.err


def test_the_version_is_told(main: Main) -> None:
    ended = main("--version")
    assert ended.code == 0
    assert ended.out.startswith("prosa ")


def test_a_wrong_setting_is_one_sentence_and_no_traceback(prosa: CommandLine) -> None:
    ended = prosa.run("serve", PROSA_MODELS="opnai:gpt-4o-mini")
    assert ended.returncode == 1
    assert ended.stdout == ""
    assert ended.stderr == (
        "prosa: PROSA_MODELS names 'opnai' (did you mean openai?): "
        "allowed are bedrock, local, openai, scripted\n"
    )


@pytest.mark.parametrize("command", ["serve", "chat", "migrate"])
def test_an_unknown_setting_stops_every_command(
    main: Main, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    monkeypatch.setenv("PROSA_DATABASE", "x")
    ended = main(command)
    assert ended.code == 1
    assert ended.err == (
        "prosa: There is no setting PROSA_DATABASE (did you mean PROSA_DATABASE_URL?): "
        "it is in the environment, and docs/settings.md has all that there are\n"
    )
    assert list(Path.cwd().iterdir()) == []


def test_without_its_packages_it_says_what_to_install(
    main: Main, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delitem(sys.modules, "prosa.entrypoints.cli.commands", raising=False)
    monkeypatch.setitem(sys.modules, "typer", None)
    ended = main("--help")
    assert ended.code == 1
    assert ended.err == "prosa: the command line needs typer: install prosa[cli]\n"


def test_migrating_says_from_where_to_where(main: Main) -> None:
    first, second = main("migrate"), main("migrate")
    assert first.code == second.code == 0
    assert first.out == "The SQLite file prosa.db had no tables and is at revision 0002 now.\n"
    assert second.out == "The SQLite file prosa.db is at revision 0002 already.\n"


def test_migrating_tells_programs_the_same(main: Main) -> None:
    assert json.loads(main("migrate", "--json").out) == {"before": None, "after": "0002"}


def test_a_database_that_is_away_is_one_sentence_without_its_password(
    main: Main, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROSA_DATABASE_URL", AWAY)
    ended = main("migrate")
    assert ended.code == 1
    assert ended.err.startswith("prosa: Postgres at 127.0.0.1:9, database shop: ")
    assert ended.err.count("\n") == 1
    assert "hunter2" not in ended.err


def test_a_doctor_finds_what_works(main: Main) -> None:
    main("migrate")
    ended = main("doctor")
    assert ended.code == 0
    parts = (
        "settings identity database prompts guardrail intents turns events queues telemetry model"
    )
    assert [line.split()[:2] for line in ended.out.splitlines()] == [
        ["works", part] for part in parts.split()
    ]


@pytest.mark.usefixtures("aws")
def test_a_doctor_says_what_of_aws_is_not_there(
    main: Main, monkeypatch: pytest.MonkeyPatch
) -> None:
    queue = a_queue("replies")
    machine = "arn:aws:states:eu-west-1:123456789012:stateMachine:gone"
    monkeypatch.setenv("PROSA_TURN_RUNNER", f"step_functions:{machine}")
    monkeypatch.setenv("PROSA_EVENT_BUS", "eventbridge:gone")
    monkeypatch.setenv("PROSA_REPLY_QUEUE", queue.replace("replies", "gone"))
    main("migrate")
    broken = mended(main)
    assert machine in broken.pop("turns")
    assert "no event bus 'gone' in this account and region" in broken.pop("events")
    assert "gone.fifo" in broken.pop("queues")
    assert broken == {}

    monkeypatch.setenv("PROSA_REPLY_QUEUE", queue)
    monkeypatch.setenv("PROSA_INBOUND_QUEUE", queue)
    monkeypatch.setenv("PROSA_EVENT_BUS", "eventbridge")
    monkeypatch.setenv("PROSA_TURN_RUNNER", "inline")
    broken = mended(main)
    assert broken.keys() == {"queues"}
    assert "has no dead-letter queue" in broken["queues"]


def mended(main: Main) -> dict[str, str]:
    """Ask a doctor what is to be mended."""
    diagnosed = json.loads(main("doctor", "--json").out)
    return {part["part"]: part["detail"] for part in diagnosed["parts"] if not part["works"]}


def test_a_doctor_says_what_to_mend_and_looks_at_the_rest(
    main: Main, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    folder = tmp_path / "prompts"
    folder.mkdir()
    monkeypatch.setenv("PROSA_PROMPTS", str(folder))
    monkeypatch.setenv("PROSA_DATABASE_URL", AWAY)
    ended = main("doctor", "--json")
    assert ended.code == 1
    assert json.loads(ended.out)["works"] is False
    broken = mended(main)
    assert set(broken) == {"database", "prompts", "model"}
    assert broken["database"].startswith("Postgres at 127.0.0.1:9, database shop: ")
    assert "support_agent" in broken["prompts"]


def test_a_doctor_asks_each_model_of_the_chain(main: Main, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROSA_MODELS", "openai:gone,scripted")
    monkeypatch.setenv("PROSA_OPENAI_BASE_URL", "http://u:hunter2@127.0.0.1:9/v1")
    main("migrate")
    ended = main("doctor")
    assert ended.code == 1
    gone, scripted = ended.out.splitlines()[-2:]
    assert gone == (
        "mend   model      the connection to openai:gone failed: look whether a server answers at "
        "http://127.0.0.1:9, where PROSA_OPENAI_BASE_URL leads"
    )
    assert scripted.startswith("works  model      scripted answered in ")
    assert "fails 5 times in a row is not asked for 30 s" in ended.out


def test_a_doctor_makes_no_database_and_does_not_mind_that_there_is_none(
    main: Main, tmp_path: Path
) -> None:
    ended = main("doctor")
    assert ended.code == 0
    assert "works  database   the SQLite file prosa.db is made at the first start" in ended.out
    assert list(tmp_path.iterdir()) == []


def test_a_doctor_minds_that_there_can_be_no_database(
    main: Main, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROSA_DATABASE_URL", "sqlite+aiosqlite:///no/prosa.db")
    assert "there is no folder no" in mended(main)["database"]


def test_a_doctor_says_that_a_file_is_no_database(main: Main, tmp_path: Path) -> None:
    (tmp_path / "prosa.db").write_text("no database" * 100)
    assert mended(main)["database"].endswith(
        "the file is no SQLite database, so have PROSA_DATABASE_URL name another"
    )


@pytest.mark.parametrize("command", ["doctor", "migrate"])
@pytest.mark.parametrize("sign", "/?#@")
def test_no_part_of_a_databases_password_is_printed(
    main: Main, monkeypatch: pytest.MonkeyPatch, command: str, sign: str
) -> None:
    monkeypatch.setenv("PROSA_DATABASE_URL", f"postgresql+asyncpg://u:ge{sign}heim@h.invalid/x")
    ended = main(command)
    assert ended.code == 1
    printed = ended.out + ended.err
    assert "PROSA_DATABASE_PASSWORD" in printed
    assert "ge" + sign not in printed
    assert "heim" not in printed


def test_a_doctor_says_where_telemetry_goes(main: Main, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "works  telemetry  off: nothing is sent" in main("doctor").out
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://u:hunter2@127.0.0.1:9/x")
    assert (
        "works  telemetry  traces go to 127.0.0.1:9, metrics go to 127.0.0.1:9; "
        "whether they are taken there was not tried"
    ) in main("doctor").out
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "foo")
    assert "OTEL_TRACES_SAMPLER is 'foo'" in mended(main)["telemetry"]
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "nonsense")
    assert "write OTEL_EXPORTER_OTLP_ENDPOINT as in http://" in mended(main)["telemetry"]


def test_a_doctor_says_that_telemetry_needs_a_package(
    main: Main, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setitem(sys.modules, "opentelemetry.exporter.otlp.proto.http", None)
    assert "install prosa[otel]" in mended(main)["telemetry"]


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("serve", "--port", "abc"), "'--port': it should be a whole number"),
        (("serve", "--workers", "0"), "'--workers': it should be greater than or equal to 1"),
        (("token", "--role", "foo"), "'--role': 'foo' is not one of 'customer', 'service'"),
    ],
)
def test_what_is_wrong_with_an_argument_is_said_in_plain_words(
    main: Main, arguments: tuple[str, ...], told: str
) -> None:
    assert told in main(*arguments).err


@pytest.mark.parametrize("command", [(), ("recover",), ("serve",)])
def test_help_shows_no_type_beside_a_switch(main: Main, command: tuple[str, ...]) -> None:
    assert "bool" not in main(*command, "--help").out


def test_a_doctor_says_which_setting_is_wrong(main: Main, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PROSA_LOCALE", "fr")
    ended = main("doctor")
    assert ended.code == 1
    assert ended.out == "mend   settings   PROSA_LOCALE is 'fr': it should be 'pt-BR' or 'en'\n"


def test_the_openapi_document_is_always_the_same_and_needs_nothing(
    main: Main, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    first = main("openapi")
    monkeypatch.setenv("PROSA_MODELS", "no such thing")
    second = main("openapi")
    assert first.code == second.code == 0
    assert first.out == second.out
    assert "/v1/messages" in json.loads(first.out)["paths"]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])  # noqa: S104 - it is refused
def test_without_authentication_only_this_machine_is_served(main: Main, host: str) -> None:
    ended = main("serve", "--host", host)
    assert ended.code == 1
    assert ended.err == (
        "prosa: PROSA_AUTH=none lets everybody in, so --host must be a loopback address "
        f"such as 127.0.0.1, and {host} is not; or set PROSA_AUTH=jwt\n"
    )


def test_without_authentication_nothing_is_served_outside_development(
    main: Main, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PROSA_ENVIRONMENT", "staging")
    monkeypatch.setenv("PROSA_MODELS", "local")
    ended = main("serve")
    assert ended.code == 1
    assert ended.err == (
        "prosa: PROSA_AUTH=none lets everybody in: with PROSA_ENVIRONMENT=staging "
        "the HTTP API is not served; set PROSA_AUTH=jwt\n"
    )


def test_a_port_that_is_taken_is_one_sentence(main: Main) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = main("serve", "--port", str(port))
    assert ended.code == 1
    assert ended.err == (
        f"prosa: cannot listen on 127.0.0.1, port {port}: Address already in use; "
        "choose another with --port\n"
    )


def test_a_host_that_is_none_is_one_sentence(main: Main) -> None:
    ended = main("serve", "--host", "a..b")
    assert ended.code == 1
    assert ended.err == "prosa: --host a..b is no address of this machine\n"
