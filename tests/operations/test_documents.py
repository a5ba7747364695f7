"""docs/operations.md and the runbooks name what there is: alarms, commands, settings, queries."""

import json
import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
import pytest
import typer
from botocore import xform_name

from infrastructure.delivery.__main__ import COMMANDS as DELIVERY
from prosa.entrypoints.cli.commands import app as cli
from prosa.settings import Settings, variable
from tests.architecture.test_terraform import (
    AWS_METRICS,
    TERRAFORM,
    functions,
    local,
    parsed,
    prosa_of,
)
from tests.faults.postgres_server import PostgresServer
from tests.operations import backups
from tests.operations.pages import (
    DOCUMENTS,
    OPERATIONS,
    ROOT,
    RUNBOOKS,
    anchors,
    commands,
    links,
    queries,
    read,
    spans,
    statements,
)
from tests.operations.roles import connect

ALARMS = "modules/observability/main.tf"


@pytest.fixture(params=DOCUMENTS, ids=lambda path: path.name)
def page(request: pytest.FixtureRequest) -> str:
    return read(request.param)


@cache
def terraform() -> str:
    return "\n".join(read(path) for path in sorted(TERRAFORM.rglob("*.tf")))


# Alarms and their runbooks

NOTICES = {"costs"}
"""Runbooks of what tells somebody without being an alarm: the module `cost`."""


def runbooks() -> set[str]:
    """Find the runbooks that alarms name: the alarm's own name, unless it shares one."""
    text = read(TERRAFORM / ALARMS)
    shared = set(re.findall(r'runbook += "([a-z-]+)"', text))
    written_out = set(re.findall(r"docs/runbooks/([a-z-]+)\.md", text))
    return set(local(ALARMS, "others")) | shared | written_out | NOTICES


def test_every_alarm_has_its_runbook_and_the_other_way_round() -> None:
    assert {path.stem for path in RUNBOOKS.glob("*.md")} == {"README", *runbooks()}


def test_every_alarms_description_names_its_runbook() -> None:
    text = read(TERRAFORM / ALARMS)
    assert "{ runbook = key }" in text
    assert text.count("Runbook: docs/runbooks/${each.value.runbook}.md") == 1
    assert len(re.findall(r'"aws_cloudwatch_\w+_alarm"', terraform())) == 2


def test_the_first_page_lists_every_runbook() -> None:
    listed = set(re.findall(r"\]\(([a-z-]+)\.md\)", read(RUNBOOKS / "README.md")))
    assert listed == runbooks()


@pytest.mark.parametrize("name", sorted(runbooks()))
def test_a_runbook_says_what_it_means_whom_it_hits_and_when_it_is_over(name: str) -> None:
    page = read(RUNBOOKS / f"{name}.md")
    assert page.startswith(f"# {name}\n")
    parts = ("**Hits.**", "## Look at", "## Do", "## Over")
    assert [part for part in parts if part not in page] == []


def test_shared_runbooks_tell_of_every_function_and_queue() -> None:
    errors = read(RUNBOOKS / "function-errors.md")
    assert [name for name in functions() if f"`{name}`" not in errors] == []
    dead = read(RUNBOOKS / "dead-letters.md")
    assert [queue for queue in dead_letter_queues() if f"`$NAME-{queue}`" not in dead] == []


def test_what_wakes_somebody_is_what_the_page_says() -> None:
    page = read(RUNBOOKS / "customers-affected.md")
    assert set(re.findall(r"^\d\. \[([a-z-]+)\]", page, re.MULTILINE)) == set(
        local(ALARMS, "pages")
    )


# Names of what is on AWS


def queues() -> set[str]:
    names = local("modules/queues/main.tf", "queues")
    return {f"{name}{end}.fifo" for name in names for end in ("", "-dead")} | {"events-dead"}


def failure_queues() -> set[str]:
    made = functions().items()
    return {
        f"{name}-failed" for name, one in made if one.get("schedule") or one.get("takes_events")
    }


def dead_letter_queues() -> set[str]:
    return {name for name in queues() if "-dead" in name} | failure_queues()


def alarms() -> set[str]:
    of_functions = {f"{name}-{what}" for name in functions() for what in ("errors", "throttles")}
    of_queues = {
        re.sub(r"-dead(\.fifo)?$|-failed$", "", queue) + "-dead-letters"
        for queue in dead_letter_queues()
    }
    return of_functions | of_queues | set(local(ALARMS, "others")) | {"customers-affected"}


OTHER_NAMES = {"breaker", "breaker-opened", "final", "take-turn"}
"""The log of breakers, a rule, the last snapshot, the state machine."""

MADE_BY_HAND = {"1", "2", "before", "damaged", "damaged-1", "damaged-2", "restored", "restored-1"}
"""Instances, and what the commands of a page make themselves."""


@cache
def names() -> set[str]:
    found = {*functions(), *queues(), *failure_queues(), *alarms()}
    return found | OTHER_NAMES | MADE_BY_HAND


def test_every_name_of_something_on_aws_is_one_of_terraforms(page: str) -> None:
    written = re.sub(r"\$NAME-\$\w+", "", page)
    found = {name.rstrip("-.") for name in re.findall(r"\$NAME-([\w.-]+)", written)}
    assert found - names() == set()


def test_what_is_neither_a_function_nor_a_queue_is_in_terraform_too() -> None:
    assert [name for name in OTHER_NAMES if f"${{var.name}}-{name}" not in terraform()] == []


LOG = re.compile(r"[\"`](/[\w/]+/\$NAME(?:-[\w$-]+)?(?:/\w+)?)[\"`]")


def test_every_log_is_there(page: str) -> None:
    for group in LOG.findall(page):
        function = group.removeprefix("/aws/lambda/$NAME-")
        if function == group:
            assert f'"{group.replace("$NAME", "${var.name}")}"' in terraform(), group
        else:
            assert function in {*functions(), "$name", "$FUNCTION"}, group


OURS = re.compile(r"(?:prosa|gen_ai)\.[a-z_]+[a-z_.]*")


def test_every_metric_is_one_that_alarms_or_the_dashboard_show(page: str) -> None:
    folder = TERRAFORM / "modules" / "observability"
    shown = read(folder / "main.tf") + read(folder / "dashboard.tf")
    shown += read(ROOT / "docs" / "telemetry.md")
    of_aws = set().union(*AWS_METRICS.values())
    files = {span for span in OF_OTHERS if span.startswith("prosa.")}
    metrics = {one for one in spans(page) if OURS.fullmatch(one) or one in of_aws} - files
    assert [one for one in metrics if not re.search(rf"[`\"]{re.escape(one)}[`\"]", shown)] == []


# Commands


@cache
def prosa_options() -> dict[str, set[str]]:
    found = typer.main.get_group(cli).commands.items()
    return {name: {opt for one in it.params for opt in one.opts} for name, it in found}


def test_every_command_of_prosa_exists(page: str) -> None:
    for command, *rest in commands(page, "prosa"):
        given = {word for word in rest if word.startswith("--")}
        assert given <= prosa_options()[command], (command, rest)


def test_every_target_of_make_exists(page: str) -> None:
    targets = set(re.findall(r"^([a-z-]+):", read(ROOT / "Makefile"), re.MULTILINE))
    assert {target for target, *_ in commands(page, "make")} <= targets


def test_every_command_of_the_pipeline_exists(page: str) -> None:
    for command, *given in commands(page, "python -m infrastructure.delivery"):
        _, takes = DELIVERY[command]
        assert len(given) == len(takes), command


OF_EVERY_COMMAND = {"query", "output", "region", "cli-read-timeout"}
"""Options that the AWS CLI takes itself."""


@cache
def service(name: str) -> Any:  # noqa: ANN401 - botocore has no types
    found = {"deploy": "codedeploy"}.get(name, name)
    return botocore.session.get_session().get_service_model(found)


def test_every_call_of_aws_exists_and_takes_what_it_is_given(page: str) -> None:
    for name, operation, *rest in commands(page, "aws"):
        if operation == "wait":
            continue
        known = {xform_name(one, "-"): one for one in service(name).operation_names}
        assert operation in known, f"aws {name} {operation}"
        shape = service(name).operation_model(known[operation]).input_shape
        takes = {xform_name(one, "-") for one in shape.members} if shape else set()
        for option in {word[2:] for word in rest if word.startswith("--")} - OF_EVERY_COMMAND:
            assert takes & {option, option.removeprefix("no-")}, f"{name} {operation} --{option}"


def test_no_call_of_aws_is_overlooked() -> None:
    written = sum(len(re.findall(r"\baws [a-z][a-z-]+ [a-z-]+ ?", read(one))) for one in DOCUMENTS)
    found = sum(len(list(commands(read(one), "aws"))) for one in DOCUMENTS)
    assert found == written > 40


ADDRESS = re.compile(r"-(?:target|replace)=module\.prosa\.module\.(\w+)(?:\.(\w+)\.(\w+))?")


def test_every_address_of_terraform_exists(page: str) -> None:
    for module, kind, name in ADDRESS.findall(page):
        resources = parsed(f"modules/{module}/main.tf")["resource"]
        found = {(made, called) for one in resources for made in one for called in one[made]}
        assert not kind or (kind, name) in found, (module, kind, name)


def test_every_output_that_is_read_is_one_of_the_platforms(page: str) -> None:
    outputs = {name for one in parsed("modules/platform/outputs.tf")["output"] for name in one}
    assert set(re.findall(r"output \.(\w+)", page)) <= outputs


def test_every_setting_exists(page: str) -> None:
    known = {variable(name) for name in Settings.model_fields}
    assert set(re.findall(r"\b(?:PROSA|OPENAI)_[A-Z_]+\b", page)) <= known


@pytest.mark.parametrize("program", ["pg_dumpall", "pg_dump", "psql", "pg_restore"])
def test_backups_are_tried_as_they_are_documented(program: str) -> None:
    (words,) = commands(read(OPERATIONS), program)
    options = {word.partition("=")[0] for word in words if word.startswith("--")}
    tried = read(Path(backups.__file__)).partition(f'"{program}"')[2]
    assert options
    assert [option for option in options if f"{option}" not in tried] == []


# Whatever else is set in the type of code

CHECKED_ABOVE = (
    "aws ",
    "make ",
    "prosa ",
    "python -m ",
    "terraform ",
    "curl ",
    "insights ",
    "sql ",
)

OF_OTHERS = {
    "concurrently": "Postgres's",
    "if not exists": "SQL's",
    "insights": "a function of the first page",
    "jq": "a program",
    "max_connections": "Postgres's",
    "output": "as insights",
    "sql": "as insights",
    "output .dashboard_name": "checked above",
    "prosa.db": "SQLite's file, by default",
    "prosa.db-shm": "SQLite's",
    "prosa.db-wal": "SQLite's",
    'sqlite3 prosa.db ".backup copy.db"': "SQLite's program; a test does the same",
    "terraform.tfvars": "Terraform's",
    '{ "shop" = "acme" }': "an example of a value",
    "Max Memory Used": "Lambda's",
    "Runtime.ExitError": "Lambda's",
    "TargetHealth": "what RDS answers",
    "Task timed out": "Lambda's",
}


@cache
def sources() -> str:
    """Read all that names may come from."""
    places = [
        *TERRAFORM.rglob("*.tf"),
        *(ROOT / "prosa").rglob("*.py"),
        *(ROOT / "infrastructure" / "delivery").glob("*.py"),
        *(ROOT / "docs" / "events").glob("*.json"),
        ROOT / "docs" / "api" / "openapi.json",
        ROOT / "docs" / "telemetry.md",
        ROOT / "infrastructure" / "workflows" / "take_turn.asl.json",
    ]
    return "\n".join(map(read, places))


def test_every_other_word_is_one_of_the_code_or_of_terraform(page: str) -> None:
    unknown = {
        span
        for span in spans(page)
        if "$NAME" not in span and not span.startswith(CHECKED_ABOVE) and span not in OF_OTHERS
    }
    assert {span for span in unknown if not _is_known(span)} == set()


def _is_known(span: str) -> bool:
    if span.startswith("GET "):
        return (
            span[4:].partition("?")[0] in json.loads(read(ROOT / "docs/api/openapi.json"))["paths"]
        )
    if span.endswith(".tf") and "/" in span:
        return (TERRAFORM / "modules" / span).exists()
    if span.startswith("PROSA_"):
        return True  # checked above
    name = span.partition(" = ")[0]
    return name in names() or re.search(rf"(?<!\w){re.escape(name)}(?!\w)", sources()) is not None


# SQL and queries


async def test_every_statement_runs_on_the_tables_that_there_are(
    production: PostgresServer, production_database: str
) -> None:
    found = [one for path in DOCUMENTS for one in statements(read(path))]
    assert len(found) > 10
    owner = await connect(production, production_database)
    for statement in found:
        await owner.execute(statement)
    await owner.close()


WRITTEN_BY_OTHERS = {
    # https://docs.aws.amazon.com/lambda/latest/dg/troubleshooting-invocation.html
    *("Task timed out", "errorType", "Runtime.ExitError", "INIT_REPORT.*Status"),
    # https://www.postgresql.org/docs/current/runtime-config-logging.html
    *("FATAL", "PANIC", "duration:"),
}


def test_every_query_looks_for_what_is_written(page: str) -> None:
    for query in queries(page):
        for place, pattern in re.findall(r"(@?message) like /([^/]+)/", query):
            for phrase in pattern.split("|"):
                by_us = phrase.replace("\\", "") in sources()
                assert by_us if place == "message" else phrase in WRITTEN_BY_OTHERS, phrase


# Links and figures


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_every_link_leads_somewhere(path: Path) -> None:
    for target in links(read(path)):
        file, _, anchor = target.partition("#")
        there = (path.parent / file).resolve() if file else path
        assert there.exists(), target
        assert not anchor or anchor in anchors(read(there)), target


@pytest.mark.parametrize(
    "days_of",
    [
        lambda one: one["log_retention_days"],
        lambda one: one["archive_days"],
        lambda one: one["database"]["backup_retention_days"],
    ],
    ids=["logs", "events", "backups"],
)
def test_what_is_kept_for_how_long_is_what_environments_say(
    days_of: Callable[[dict[str, Any]], int],
) -> None:
    dev, staging, prod = (days_of(prosa_of(one)) for one in ("dev", "staging", "prod"))
    assert f"dev {dev}, staging {staging}, prod {prod}" in read(OPERATIONS)


SCALES: dict[str, Callable[[dict[str, Any]], str]] = {
    "`throttling`": lambda one: f"{one['throttling']['rate']}, {one['throttling']['burst']}",
    "`requests_of_an_address`": lambda one: f"{one['requests_of_an_address']:,}",
    "`concurrency.http`": lambda one: str(one["concurrency"]["http"]),
    "`concurrency.http_provisioned`": lambda one: str(one["concurrency"]["http_provisioned"]),
    "`concurrency.messages`": lambda one: str(one["concurrency"]["messages"]),
    "`concurrency.tasks`": lambda one: str(one["concurrency"]["tasks"]),
    "–": lambda one: str(reserved(one["concurrency"])),
    "`database.capacity`": lambda one: "{min}–{max}".format(**one["database"]["capacity"]),
    "`database.instances`": lambda one: str(one["database"]["instances"]),
}


def reserved(concurrency: dict[str, int]) -> int:
    """Add up what the functions of an environment reserve, and the one of the pool of users."""
    variables = parsed("modules/identity/variables.tf")["variable"]
    claims = next(one[name] for one in variables for name in one if name == "claims_concurrency")
    wanted = [str(one["reserved_concurrency"]) for one in functions().values()]
    found = [re.search(r"var\.concurrency\.(\w+)", one) for one in wanted]
    return int(claims["default"]) + sum(
        concurrency[by_variable[1]] if by_variable else int(one)
        for one, by_variable in zip(wanted, found, strict=True)
    )


def test_the_table_of_scales_has_each_environments_values() -> None:
    table = read(OPERATIONS).partition("## Scaling")[2].partition("\n\n- ")[0]
    rows = [[cell.strip() for cell in row.strip("|").split("|")] for row in table.splitlines()[2:]]
    found = {row[1]: row[2:] for row in rows if len(row) > 1 and row[1] in SCALES}
    environments = [prosa_of(one) for one in ("dev", "staging", "prod")]
    assert found == {name: [of(one) for one in environments] for name, of in SCALES.items()}
