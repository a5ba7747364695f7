"""Terraform and the code agree: handlers, settings, permissions, metrics, events, time limits."""

import ast
import importlib
import importlib.util
import inspect
import json
import logging
import re
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import botocore.session
import hcl2
import pytest
import yaml
from botocore import xform_name

from prosa.adapters.jwt.token_rules import TokenRules
from prosa.adapters.opentelemetry import gen_ai_names, names
from prosa.adapters.sql.connection import LEND_SECONDS, POSTGRES_SETTINGS
from prosa.entrypoints.aws_lambda import runtime
from prosa.entrypoints.http.problems import TYPE_PREFIX
from prosa.entrypoints.logs import JsonLines
from prosa.entrypoints.step_functions import take_turn
from prosa.settings import Settings, variable

ROOT = Path(__file__).parents[2]
TERRAFORM = ROOT / "infrastructure" / "terraform"
MODULES = sorted(path for path in (TERRAFORM / "modules").iterdir() if path.is_dir())
ENVIRONMENTS = ("dev", "staging", "prod")
WORKFLOW = ROOT / "infrastructure" / "workflows" / "take_turn.asl.json"
EVENTS = ROOT / "docs" / "events"

NOT_DEPLOYED = {
    "http": "its answers come whole: the API is the server itself, behind the Web Adapter",
}
"""Handlers that no function of Terraform's has."""

LEFT_TO_PROSA = {
    "PROSA_BREAKER_FAILURES": "the default is right for any model so far",
    "PROSA_BREAKER_REST_SECONDS": "as PROSA_BREAKER_FAILURES",
    "PROSA_DOCS": "follows PROSA_ENVIRONMENT",
    "PROSA_INBOUND_QUEUE": "Lambda reads the queue for the function; only commands need it",
    "PROSA_JWKS_URL": "Cognito's keys are where the issuer is",
    "PROSA_JWT_CUSTOMER_CLAIM": "a customer is the user that the token is of",
    "PROSA_JWT_ROLE_CLAIM": "the pool's function writes claims by the default names",
    "PROSA_JWT_TENANT_CLAIM": "as PROSA_JWT_ROLE_CLAIM",
    "PROSA_LOCAL_MODEL": "the packages hold no model",
    "PROSA_OPENAI_BASE_URL": "the chain names OpenAI's own",
    "PROSA_PROMPTS": "the packages hold the bundled ones only",
    "PROSA_TELEMETRY_CONTENT": "nothing that was said goes into traces",
}
"""Settings that Terraform does not set."""

NOT_OURS = {
    "AWS_LAMBDA_EXEC_WRAPPER": "the Web Adapter's",
    "AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH": "the Web Adapter's",
    "AWS_LWA_INVOKE_MODE": "the Web Adapter's",
    "AWS_LWA_PORT": "the Web Adapter's",
    "AWS_LWA_READINESS_CHECK_PATH": "the Web Adapter's",
    "OTEL_SERVICE_NAME": "OpenTelemetry's",
    "PGSSLROOTCERT": "asyncpg's",
}
"""Variables that are no settings of Prosa's."""

IAM_PREFIXES = {"bedrock-runtime": "bedrock", "stepfunctions": "states"}
"""Services whose permissions have another name."""

IAM_ACTIONS = {
    "bedrock:Converse": "bedrock:InvokeModel",
    "bedrock:ConverseStream": "bedrock:InvokeModelWithResponseStream",
}
"""Operations that are permitted by another name.

https://docs.aws.amazon.com/bedrock/latest/APIReference/API_runtime_Converse.html
"""

SIGNED_HERE = {"rds-db": "rds-db:connect"}
"""What is signed without asking AWS, and the permission that it is good for."""

GRANTED_FOR_AWS = {
    "kms:Decrypt": "what AWS reads for the function is encrypted by our key",
    "kms:GenerateDataKey": "as kms:Decrypt, for what it writes",
    "sqs:DeleteMessage": "Lambda takes messages as the function's role",
    "sqs:GetQueueAttributes": "as sqs:DeleteMessage",
    "sqs:ReceiveMessage": "as sqs:DeleteMessage",
}
"""Granted, though no function calls it by itself."""

NOT_CALLED_BY_FUNCTIONS = {
    "sqs:ChangeMessageVisibility": "the worker and `prosa redrive`, which run elsewhere",
    "sqs:GetQueueUrl": "as sqs:ChangeMessageVisibility",
    "ssm:GetParameter": "Terraform keeps secrets in Secrets Manager",
}
"""Called by an adapter, and granted to no function."""

AWS_METRICS = {
    # https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html
    "AWS/Lambda": {"Errors", "Throttles", "Duration"},
    # https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-metrics-and-dimensions.html
    "AWS/ApiGateway": {"Count", "4XXError", "5XXError", "Latency"},
    # https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-available-cloudwatch-metrics.html
    "AWS/SQS": {"ApproximateAgeOfOldestMessage", "ApproximateNumberOfMessagesVisible"},
    # https://docs.aws.amazon.com/step-functions/latest/dg/procedure-cw-metrics.html
    "AWS/States": {"ExecutionsFailed", "ExecutionsTimedOut"},
    # https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-monitoring.html
    "AWS/Events": {"FailedInvocations"},
    # https://docs.aws.amazon.com/AmazonRDS/latest/AuroraUserGuide/rds-proxy.monitoring.html
    "AWS/RDS": {"ACUUtilization", "DatabaseConnectionsSetupFailed"},
}
"""What AWS measures by itself."""

COMMENT = re.compile(r"^\s*#")


def plain(value: Any) -> Any:  # noqa: ANN401 - HCL, as its parser gives it
    """Take off the quotes in which the parser leaves texts; an expression stays `${…}`."""
    if isinstance(value, dict):
        written = {key: found for key, found in value.items() if not key.startswith("__")}
        return {str(plain(key)): plain(found) for key, found in written.items()}
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value.strip('"') if isinstance(value, str) else value


@cache
def parsed(path: str) -> dict[str, Any]:
    with (TERRAFORM / path).open(encoding="utf-8") as file:
        found: dict[str, Any] = plain(hcl2.load(file))
    return found


def local(path: str, name: str) -> Any:  # noqa: ANN401 - as above
    return next(block[name] for block in parsed(path)["locals"] if name in block)


def functions() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = local("modules/platform/functions.tf", "functions")
    return found


def grants_of(function: Mapping[str, Any]) -> set[str]:
    """Every grant that a function may have, whatever its variables say."""
    listed = function["grants"]
    return set(re.findall(r'"(\w+)"', listed)) if isinstance(listed, str) else set(listed)


def texts(path: Path) -> str:
    return path.read_text(encoding="utf-8")


# Handlers


def handlers() -> list[str]:
    return [one["handler"] for one in functions().values() if one["handler"] != "run.sh"]


@pytest.mark.parametrize("handler", handlers())
def test_every_handler_is_one_of_the_code(handler: str) -> None:
    module_name, _, name = handler.rpartition(".")
    module = importlib.import_module(module_name)
    if module is take_turn:
        assert name in {*take_turn.STEPS, take_turn.PUBLISH}
    else:
        assert name == "handler"
        # Asked for, it would open what it needs.
        with pytest.raises(AttributeError, match="it has a handler"):
            _ = module.anything_else


def test_every_handler_of_the_code_is_a_function() -> None:
    folder = Path(inspect.getfile(runtime)).parent
    modules = {path.stem for path in folder.glob("*.py")} - {"__init__", "runtime"}
    deployed = {handler.split(".")[-2] for handler in handlers()} - {"take_turn"}
    assert modules - deployed == set(NOT_DEPLOYED)


def test_the_machines_tasks_are_functions_and_nothing_else_is_filled_in() -> None:
    tasks = set(local("modules/platform/functions.tf", "tasks"))
    wanted = set(re.findall(r"\$\{(\w+)_function\}", texts(WORKFLOW)))
    assert wanted == tasks == {*take_turn.STEPS, take_turn.PUBLISH}
    for task in tasks:
        assert functions()[task]["handler"] == f"{take_turn.__name__}.{task}"


# Settings


def variables_set() -> dict[str, Any]:
    path = "modules/platform/environment.tf"
    groups = [local(path, name) for name in ("environment", "turns", "channels", "http")]
    groups += [
        one["environment"]
        for one in functions().values()
        if isinstance(one.get("environment"), dict)
    ]
    return {name: value for group in groups for name, value in group.items()}


def settings() -> set[str]:
    return {variable(name) for name in Settings.model_fields}


def test_every_variable_is_a_setting_or_known_to_be_none() -> None:
    assert set(variables_set()) - settings() == set(NOT_OURS)


def test_every_setting_is_set_or_left_out_on_purpose() -> None:
    assert settings() - set(variables_set()) == set(LEFT_TO_PROSA)


def test_the_web_adapters_variables_are_those_of_the_documentation() -> None:
    documented = dict(
        re.findall(r"^(AWS_L\w+)=(\S+)", texts(ROOT / "docs" / "aws.md"), re.MULTILINE)
    )
    assert documented
    assert documented.items() <= variables_set().items()


def test_the_environment_names_are_those_that_settings_know() -> None:
    known = Settings.model_fields["environment"].annotation
    for environment in ENVIRONMENTS:
        module = prosa_of(environment)
        assert module["environment"] in getattr(known, "__args__", ())


# Permissions


BOTO = botocore.session.get_session()


@cache
def operations(service: str) -> frozenset[str]:
    return frozenset(BOTO.get_service_model(service).operation_names)


def actions_called(file: Path) -> Iterator[str]:
    """Find which operations an adapter's file names, of the services whose clients it makes."""
    tree = ast.parse(texts(file))
    words = {
        one.value
        for one in ast.walk(tree)
        if isinstance(one, ast.Constant) and isinstance(one.value, str)
    }
    makers = [
        one
        for one in ast.walk(tree)
        if isinstance(one, ast.Call) and name_of(one.func) in {"AwsClient", "create_client"}
    ]
    services = {
        one.args[0].value for one in makers if one.args and isinstance(one.args[0], ast.Constant)
    }
    yield from (SIGNED_HERE[word] for word in words & set(SIGNED_HERE))
    for service in services:
        prefix = IAM_PREFIXES.get(str(service), str(service))
        for operation in operations(str(service)):
            if xform_name(operation) in words:
                action = f"{prefix}:{operation}"
                yield IAM_ACTIONS.get(action, action)


def name_of(function: ast.expr) -> str:
    return str(getattr(function, "id", None) or getattr(function, "attr", ""))


@cache
def called() -> set[str]:
    files = (ROOT / "prosa" / "adapters").rglob("*.py")
    return {action for file in files for action in actions_called(file)}


def granted() -> set[str]:
    grants = local("modules/platform/grants.tf", "grants")
    return {action for each in grants.values() for one in each for action in one["actions"]}


def test_the_calls_of_adapters_are_found() -> None:
    assert {"events:PutEvents", "bedrock:InvokeModel", "sqs:SendMessage"} <= called()


def test_what_adapters_call_is_granted_or_left_out_on_purpose() -> None:
    assert called() - granted() == set(NOT_CALLED_BY_FUNCTIONS)


def test_nothing_is_granted_that_no_adapter_calls() -> None:
    assert granted() - called() <= set(GRANTED_FOR_AWS)
    assert set(GRANTED_FOR_AWS) <= granted()


def test_every_grant_is_some_functions() -> None:
    grants = set(local("modules/platform/grants.tf", "grants"))
    assert set().union(*(grants_of(one) for one in functions().values())) == grants


def test_what_only_relays_is_granted_no_more_than_that() -> None:
    relays = [one for one in functions().values() if one["package"] == "relay"]
    assert len(relays) == 2
    for function in relays:
        assert grants_of(function) == {"database", "events"}


def test_only_migrations_own_the_tables() -> None:
    owners = {name for name, one in functions().items() if "database_owner" in grants_of(one)}
    assert owners == {"migrate"}


def statements_about_everything() -> Iterator[str]:
    """Find what stands right above, and in, each statement whose resource is "*"."""
    for file in TERRAFORM.rglob("*.tf"):
        lines = texts(file).splitlines()
        for number, line in enumerate(lines):
            if re.search(r'resources\s*=\s*\["\*"\]', line):
                begins = max(n for n in range(number) if lines[n].strip() == "statement {")
                yield f"{file.name}:{number + 1}\n" + "\n".join(lines[begins - 1 : number])


def test_every_permission_on_everything_has_its_reason_above() -> None:
    found = list(statements_about_everything())
    assert found
    for statement in found:
        above = statement.splitlines()[1]
        assert COMMENT.match(above), statement


# Time limits


def test_a_function_has_no_more_time_than_its_task() -> None:
    states = json.loads(texts(WORKFLOW))["States"].values()
    limits = {
        state["Parameters"]["FunctionName"][2:-10]: state["TimeoutSeconds"]
        for state in states
        if "Parameters" in state
    }
    for task, seconds in limits.items():
        assert functions()[task]["timeout_seconds"] <= seconds


def deadline() -> float:
    default = Settings.model_fields["deadline_seconds"].default
    assert isinstance(default, float)
    return default


def test_the_server_has_two_seconds_more_than_a_turn() -> None:
    assert functions()["http"]["timeout_seconds"] >= deadline() + runtime.SPARE_SECONDS


def test_a_batch_of_one_conversation_is_taken_within_the_functions_time() -> None:
    path = "modules/platform/functions.tf"
    needed = (
        local(path, "messages_at_once") * deadline()
        + runtime.SPARE_SECONDS
        + runtime.SECONDS_TO_GIVE_UP
    )
    assert local(path, "messages_seconds") >= needed


def documented(handler: str) -> list[str]:
    """Read the row of a handler: in docs/aws.md, a cell for each column."""
    rows = [row for row in texts(ROOT / "docs" / "aws.md").splitlines() if row.startswith("| `")]
    short = handler.removeprefix("prosa.entrypoints.")
    row = next(row for row in rows if row.startswith(f"| `{short}` |"))
    return [cell.strip(" `") for cell in row.split("|")]


@pytest.mark.parametrize(
    "name", ["recover-turns", "relay-outbox", "migrate", "classify", "generate", "publish"]
)
def test_functions_have_the_time_and_the_package_that_are_documented(name: str) -> None:
    function = functions()[name]
    row = documented(function["handler"])
    amount, unit = row[3].split()
    assert int(amount) * {"s": 1, "min": 60}[unit] == function["timeout_seconds"]
    assert row[4] == function["package"]


def test_the_database_has_the_applications_time_limits() -> None:
    limits = local("modules/database/main.tf", "time_limits")
    assert limits.items() <= POSTGRES_SETTINGS.items()
    assert set(limits) == {name for name in POSTGRES_SETTINGS if name.endswith("timeout")}
    pool = parsed("modules/database/main.tf")["resource"]
    group = next(
        one["aws_db_proxy_default_target_group"]["this"]
        for one in pool
        if "aws_db_proxy_default_target_group" in one
    )
    assert group["connection_pool_config"][0]["connection_borrow_timeout"] == LEND_SECONDS


# Metrics and logs


def alarms() -> list[dict[str, Any]]:
    path = "modules/observability/main.tf"
    others: dict[str, dict[str, Any]] = local(path, "others")
    return list(others.values())


def own_metrics() -> set[str]:
    return {value for value in vars(names).values() if isinstance(value, str)}


def counted_in_logs() -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = local("modules/observability/main.tf", "counted")
    return found


@pytest.mark.parametrize("file", ["main.tf", "dashboard.tf"])
def test_every_metric_of_ours_is_one_that_the_code_emits(file: str) -> None:
    named = set(
        re.findall(
            r'"((?:prosa|gen_ai|http)\.[\w.]+)"',
            texts(TERRAFORM / "modules" / "observability" / file),
        )
    )
    assert named
    usual = {value for value in vars(gen_ai_names).values() if isinstance(value, str)}
    assert named <= own_metrics() | usual


def test_every_alarm_is_on_a_metric_that_is_there() -> None:
    ours = {f"${{local.counted.{name}.name}}" for name in counted_in_logs()} | own_metrics()
    for alarm in alarms():
        assert alarm["metric"] in AWS_METRICS.get(alarm["namespace"], ours), alarm
        assert alarm["namespace"] in {*AWS_METRICS, "${var.metrics_namespace}"}


def test_every_count_of_a_log_is_watched() -> None:
    watched = {alarm["metric"] for alarm in alarms()}
    assert {f"${{local.counted.{name}.name}}" for name in counted_in_logs()} <= watched


def test_what_is_counted_in_logs_is_what_the_code_writes() -> None:
    record = logging.LogRecord("prosa", logging.ERROR, "", 0, "said", (), None)
    written = json.loads(JsonLines().format(record))
    assert (
        counted_in_logs()["errors"]["pattern"].replace("\\", "")
        == f'{{ $.level = "{written["level"]}" }}'
    )
    phrase = re.findall(r'message = \\?"\*([^*]+)\*', counted_in_logs()["parked"]["pattern"])
    assert [
        phrase[0] in texts(ROOT / "prosa" / "application" / "relay_outbox.py"),
        "message" in written,
    ] == [True, True]


# Events


def test_rules_match_events_that_exist() -> None:
    main = texts(TERRAFORM / "modules" / "event_bus" / "main.tf") + texts(
        TERRAFORM / "modules" / "platform" / "main.tf"
    )
    types = set(re.findall(r'"((?:conversation|language_model)\.[\w.]+\.v\d+)"', main))
    assert types
    assert types <= {path.stem for path in EVENTS.glob("*.json")}


def test_rules_match_sources_that_exist() -> None:
    path = "modules/event_bus/main.tf"
    for name, event in {
        "conversations": "conversation.started.v1",
        "language_models": "language_model.breaker.moved.v1",
    }.items():
        schema = json.loads(texts(EVENTS / f"{event}.json"))
        assert local(path, name) == schema["properties"]["source"]["const"]


def test_a_breaker_that_opens_is_told_as_the_rule_expects() -> None:
    moved = texts(EVENTS / "language_model.breaker.moved.v1.json")
    assert '"after"' in moved
    assert '"open"' in moved


def test_what_takes_events_has_a_rule_and_the_other_way_round() -> None:
    bus = next(
        one["event_bus"]
        for one in parsed("modules/platform/main.tf")["module"]
        if "event_bus" in one
    )
    takers = {name for name, one in functions().items() if one.get("takes_events")}
    assert set(bus["consumers"]) == takers


def test_the_gateway_speaks_as_the_api_does() -> None:
    assert f'"{TYPE_PREFIX}${{each.value.code}}"' in texts(
        TERRAFORM / "modules" / "api" / "main.tf"
    )


# Who asks


def claims_of(event: dict[str, Any]) -> dict[str, str]:
    path = TERRAFORM / "modules" / "identity" / "claims" / "claims.py"
    spec = importlib.util.spec_from_file_location("claims", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    answer = module.handler(event, None)["response"]["claimsAndScopeOverrideDetails"]
    written: dict[str, str] = answer["accessTokenGeneration"]["claimsToAddOrOverride"]
    return written


def of_user(groups: list[str], **attributes: str) -> dict[str, Any]:
    return {
        "triggerSource": "TokenGeneration_HostedAuth",
        "request": {
            "userAttributes": attributes,
            "groupConfiguration": {"groupsToOverride": groups},
        },
    }


def of_program(*scopes: str) -> dict[str, Any]:
    return {
        "triggerSource": "TokenGeneration_ClientCredentials",
        "request": {"scopes": list(scopes)},
    }


def rules() -> TokenRules:
    fields = Settings.model_fields
    return TokenRules(
        issuer="https://issuer.example",
        client_ids=frozenset({"pages"}),
        tenant_claim=fields["jwt_tenant_claim"].default,
        role_claim=fields["jwt_role_claim"].default,
        customer_claim=fields["jwt_customer_claim"].default,
    )


def test_a_customers_token_says_what_prosa_reads() -> None:
    written = claims_of(of_user(["customer"], **{"custom:tenant_id": "acme"}))
    caller = rules().caller_of({"sub": "user-1", **written})
    assert (caller.tenant_id, caller.customer_id) == ("acme", "user-1")


def test_a_programs_token_says_its_tenant_by_its_scope() -> None:
    written = claims_of(of_program("tenants/acme"))
    caller = rules().caller_of({"sub": "crm", **written})
    assert (caller.tenant_id, caller.customer_id) == ("acme", None)


@pytest.mark.parametrize(
    "event",
    [
        of_program("tenants/acme", "tenants/zeta"),
        of_program(),
        of_user([]),
        of_user(["administrators"]),
    ],
    ids=["two tenants", "no tenant", "nothing", "no role"],
)
def test_a_token_without_one_tenant_and_a_role_says_none(event: dict[str, Any]) -> None:
    assert claims_of(event) == {}


def test_in_both_groups_a_user_is_a_customer() -> None:
    written = claims_of(of_user(["service", "customer"], **{"custom:tenant_id": "acme"}))
    assert written["role"] == "customer"


# Environments and modules


def prosa_of(environment: str) -> dict[str, Any]:
    module = parsed(f"environments/{environment}/main.tf")["module"]
    assert [list(one) for one in module] == [["prosa"]]
    found: dict[str, Any] = module[0]["prosa"]
    return found


def shape(value: Any) -> Any:  # noqa: ANN401 - as above
    """What is left of a configuration without its values."""
    return {key: shape(found) for key, found in value.items()} if isinstance(value, dict) else None


@pytest.mark.parametrize("environment", ENVIRONMENTS[1:])
def test_environments_differ_in_values_only(environment: str) -> None:
    first = TERRAFORM / "environments" / ENVIRONMENTS[0]
    folder = TERRAFORM / "environments" / environment
    assert {path.name for path in folder.glob("*.tf")} == {path.name for path in first.glob("*.tf")}
    assert shape(prosa_of(environment)) == shape(prosa_of(ENVIRONMENTS[0]))
    for file in ("variables.tf", "outputs.tf"):
        assert texts(folder / file) == texts(first / file)
    assert texts(folder / "versions.tf").replace(environment, "dev") == texts(first / "versions.tf")


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_the_state_is_remote_encrypted_locked_and_an_environments_own(environment: str) -> None:
    terraform = parsed(f"environments/{environment}/versions.tf")["terraform"][0]
    backend = terraform["backend"][0]["s3"]
    assert (
        backend["key"]
        == f"prosa/{environment}.tfstate"
        == prosa_of(environment)["pipeline"]["state"]["key"]
    )
    assert [backend["encrypt"], backend["use_lockfile"]] == [True, True]


@pytest.mark.parametrize("environment", ENVIRONMENTS)
def test_everything_is_tagged_by_what_bills_are_divided_by(environment: str) -> None:
    provider = parsed(f"environments/{environment}/main.tf")["provider"][0]["aws"]
    tags = provider["default_tags"][0]["tags"]
    cost = next(
        one["cost"] for one in parsed("modules/platform/main.tf")["module"] if "cost" in one
    )
    assert set(cost["allocation_tags"]) <= set(tags)
    assert tags["environment"] == prosa_of(environment)["name"]


@pytest.mark.parametrize("module", MODULES, ids=lambda path: path.name)
def test_every_module_is_tested_and_says_what_it_takes_and_gives(module: Path) -> None:
    assert list((module / "tests").glob("*.tftest.hcl"))
    for file, kind in (("variables.tf", "variable"), ("outputs.tf", "output")):
        for block in parsed(f"modules/{module.name}/{file}").get(kind, ()):
            [(name, body)] = block.items()
            assert body.get("description"), f"{module.name}: {kind} {name}"


def test_every_exception_to_checkov_has_its_reason() -> None:
    for file in TERRAFORM.rglob("*.tf"):
        for skipped in re.findall(r"checkov:skip=(.*)", texts(file)):
            assert re.fullmatch(r"CKV2?_AWS_\d+:.{10,}", skipped), f"{file}: {skipped}"
    lines = texts(TERRAFORM / ".checkov.yaml").splitlines()
    for check in yaml.safe_load("\n".join(lines))["skip-check"]:
        assert COMMENT.match(lines[lines.index(f"  - {check}") - 1])
