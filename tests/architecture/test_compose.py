"""compose.yaml: valid, confined, without secrets, and each part fits the others and the code."""

import json
import math
import re
import subprocess
import sysconfig
from functools import cache
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import yaml

from prosa.adapters.jwt.development_keys import KEY_SET_FILE
from prosa.adapters.opentelemetry.telemetry import SECONDS_TO_FLUSH
from prosa.entrypoints.cli import serve
from prosa.entrypoints.cli.token import CLIENT_ID, ISSUER
from prosa.settings import Settings, variable
from tests.architecture.containers import PINNED, ROOT, last, read_command, stages
from tests.containers.__main__ import PORTS

FILE = ROOT / "compose.yaml"
SECONDS = 60
"""Far more than the validator takes, also on a busy machine."""

WITHOUT_HEALTH_CHECK = {"collector": "its image holds nothing that could ask it"}
"""Services that go on running and are not asked whether they are well."""

LIMITS = {"cpus", "memory", "pids"}
ON_ALL_CORES = {
    "server": "llama.cpp would have more threads than it may use, which wait for each other"
}
"""Services that may use every core."""

SECRET = re.compile(r"PASSWORD|SECRET|TOKEN|_KEY$")
INTERPOLATED = re.compile(r"\$\{(\w+)(?::?([-?])([^}]*))?\}")

Service = dict[str, Any]


@cache
def compose() -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(FILE.read_text(encoding="utf-8"))
    return found


def services() -> dict[str, Service]:
    found: dict[str, Service] = compose()["services"]
    return found


def ours() -> dict[str, Service]:
    return {name: one for name, one in services().items() if one["image"].startswith("prosa:")}


def configuration(name: str) -> dict[str, Any]:
    path = ROOT / "infrastructure" / "compose" / name
    found: dict[str, Any] = yaml.safe_load(path.read_text(encoding="utf-8"))
    return found


def command_of(service: Service) -> list[str]:
    """What is run in a container of Prosa's."""
    entrypoint = service.get("entrypoint") or last("ENTRYPOINT", "demonstration").words
    return [*entrypoint, *service["command"]]


def limits_of(service: Service) -> set[str]:
    return set(service["deploy"]["resources"]["limits"])


def filled_in(value: str, **given: str) -> str:
    """Write a value as compose does: what is given, else the default."""
    return INTERPOLATED.sub(lambda found: given.get(found[1], found[3] or ""), value)


def seconds(duration: str) -> int:
    return int(duration.removesuffix("s"))


each_service = pytest.mark.parametrize("name", sorted(services()))
each_of_ours = pytest.mark.parametrize("name", sorted(ours()))


def test_it_follows_the_compose_specification() -> None:
    validator = Path(sysconfig.get_path("scripts"), "check-jsonschema")
    found = subprocess.run(
        [validator, "--builtin-schema", "vendor.compose-spec", FILE],
        capture_output=True,
        check=False,
        text=True,
        timeout=SECONDS,
    )
    assert found.returncode == 0, found.stdout + found.stderr


# What a service may do


@each_service
def test_a_service_is_confined(name: str) -> None:
    service = services()[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert limits_of(service) == LIMITS - ({"cpus"} if name in ON_ALL_CORES else set())
    assert not {"privileged", "cap_add", "devices", "pid", "ipc"} & set(service)
    assert service.get("user") != "root"


@each_service
def test_a_port_is_reached_from_this_machine_only(name: str) -> None:
    for port in services()[name].get("ports", ()):
        assert re.fullmatch(r"127\.0\.0\.1:\$\{\w+:-\d+\}:\d+", port)


def test_the_trial_leaves_the_usual_ports_alone() -> None:
    published = [port for one in services().values() for port in one.get("ports", ())]
    assert {INTERPOLATED.findall(port)[0][0] for port in published} == set(PORTS)
    for port in published:
        assert filled_in(port) != filled_in(port, **{name: str(n) for name, n in PORTS.items()})


@each_service
def test_an_image_is_a_digest_or_built_here(name: str) -> None:
    service = services()[name]
    if name not in ours():
        assert PINNED.fullmatch(service["image"])
        return
    assert service["image"] == "prosa:demonstration"
    assert service["pull_policy"] == ("build" if "build" in service else "never")


def test_the_image_is_built_once_from_a_stage_of_the_dockerfile() -> None:
    (built,) = [one["build"] for one in ours().values() if "build" in one]
    assert built["target"] in stages()
    assert built["context"] == "."


@each_service
def test_no_secret_stands_in_the_file(name: str) -> None:
    for key, value in services()[name].get("environment", {}).items():
        if SECRET.search(key):
            assert INTERPOLATED.fullmatch(value), key


def test_the_one_secret_that_is_needed_is_asked_for() -> None:
    text = FILE.read_text(encoding="utf-8")
    required = {found[1] for found in INTERPOLATED.finditer(text) if found[2] == "?"}
    assert required == {"POSTGRES_PASSWORD"}
    # Compose can write no secret from the environment into a file system that is only read.
    assert "secrets" not in compose()


# How a service starts, is looked at, and stops


@each_service
def test_what_goes_on_running_is_asked_whether_it_is_well(name: str) -> None:
    service = services()[name]
    own = service.get("healthcheck", {})
    asked = "test" in own or ("build" in service and not own)
    ends = service["restart"] == "no"
    assert asked != (ends or name in WITHOUT_HEALTH_CHECK)
    assert ends or service["restart"] == "unless-stopped"
    # `up --wait` of compose 2.26 takes a check that is switched off for one that fails.
    assert ends or "disable" not in own


@each_service
def test_what_is_waited_for_can_come(name: str) -> None:
    for other, wanted in services()[name].get("depends_on", {}).items():
        service = services()[other]
        if wanted["condition"] == "service_completed_successfully":
            assert service["restart"] == "no"
        else:
            assert wanted["condition"] == "service_healthy"
            assert "test" in service["healthcheck"]


def test_what_ends_is_waited_for_so_that_up_waits_for_its_end() -> None:
    waited_for = {
        other
        for one in services().values()
        for other, wanted in one.get("depends_on", {}).items()
        if wanted["condition"] == "service_completed_successfully"
    }
    assert waited_for == {name for name, one in services().items() if one["restart"] == "no"}


def test_nothing_of_prosas_waits_for_telemetry() -> None:
    waited_for = {other for one in ours().values() for other in one.get("depends_on", {})}
    assert waited_for == {"migrate", "postgres", "token"}


@each_of_ours
def test_the_command_is_one_of_prosas(name: str) -> None:
    read_command(command_of(services()[name]))


def test_a_turn_that_runs_has_its_time_when_the_server_is_stopped() -> None:
    deadline = Settings.model_fields["deadline_seconds"].default
    needed = math.ceil(deadline) + serve.SECONDS_AFTER_DEADLINE + SECONDS_TO_FLUSH
    assert seconds(services()["server"]["stop_grace_period"]) > needed


# Settings


@each_of_ours
def test_every_variable_is_a_setting_or_telemetrys(name: str) -> None:
    known = {variable(setting) for setting in Settings.model_fields}
    page = (ROOT / "docs" / "telemetry.md").read_text(encoding="utf-8")
    for key in services()[name].get("environment", {}):
        assert key in known or f"`{key}`" in page, key


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Settings:
    """What the server reads where nothing but the password is given."""
    for name in (variable(setting) for setting in Settings.model_fields):
        monkeypatch.delenv(name, raising=False)
    for name, value in services()["server"]["environment"].items():
        monkeypatch.setenv(name, filled_in(value, POSTGRES_PASSWORD="secret"))  # noqa: S106 - none
    monkeypatch.chdir(tmp_path)
    return Settings()


def test_without_an_account_the_small_model_answers(settings: Settings) -> None:
    assert [str(name) for name in settings.models] == ["local"]
    assert settings.openai_base_url is None


def test_the_server_may_listen_where_its_port_is_published(settings: Settings) -> None:
    command = command_of(services()["server"])
    assert command[command.index("--host") + 1] == "0.0.0.0"  # noqa: S104 - within the container
    serve._require_safe(settings, "0.0.0.0", "0.0.0.0")  # noqa: S104 - as above
    (port,) = services()["server"]["ports"]
    assert port.endswith(f":{last('EXPOSE', 'demonstration').rest}")


def test_the_server_believes_the_tokens_that_token_makes(settings: Settings) -> None:
    assert settings.jwt_issuer == ISSUER
    assert settings.jwt_client_ids == frozenset({CLIENT_ID})
    token = services()["token"]
    (folder,) = re.findall(r"--folder (\S+)", " ".join(command_of(token)))
    assert settings.key_set_url == f"file:{folder}/{KEY_SET_FILE}"
    assert token["volumes"] == [f"keys:{folder}"]
    assert services()["server"]["volumes"] == [f"keys:{folder}:ro"]
    # A new volume takes the owner of the folder that the image has there.
    assert folder == last("WORKDIR", "demonstration").rest


def test_the_token_in_the_log_of_a_start_holds_for_a_second() -> None:
    assert command_of(services()["token"])[-2:] == ["--seconds", "1"]


def test_the_database_is_the_one_that_is_started(settings: Settings) -> None:
    url = urlsplit(settings.database_url)
    postgres = services()[url.hostname or ""]
    environment = postgres["environment"]
    assert environment["POSTGRES_USER"] == url.username
    assert environment["POSTGRES_DB"] == url.path.removeprefix("/")
    prosas = services()["server"]["environment"]["PROSA_DATABASE_PASSWORD"]
    assert environment["POSTGRES_PASSWORD"] == prosas


# What is mounted, and who talks to whom


def mounted() -> list[str]:
    volumes = (volume for one in services().values() for volume in one.get("volumes", ()))
    return [volume.partition(":")[0] for volume in volumes]


def test_every_file_that_is_mounted_exists_and_every_volume_is_declared() -> None:
    for source in mounted():
        if source.startswith("./"):
            assert (ROOT / source).exists(), source
        else:
            assert source in compose()["volumes"]


def pushed_to(exporter: str) -> tuple[str, int | None, str]:
    url = urlsplit(configuration("collector.yaml")["exporters"][exporter]["endpoint"])
    return url.hostname or "", url.port, url.path


def test_prosa_reaches_the_collector() -> None:
    receiver = configuration("collector.yaml")["receivers"]["otlp"]["protocols"]["http"]
    for one in (services()["server"], services()["relay"]):
        url = urlsplit(one["environment"]["OTEL_EXPORTER_OTLP_ENDPOINT"])
        assert url.hostname == "collector"
        assert receiver["endpoint"] == f"0.0.0.0:{url.port}"


def test_the_collectors_pipelines_use_what_is_configured_and_all_of_it() -> None:
    collector = configuration("collector.yaml")
    pipelines = collector["service"]["pipelines"].values()
    for kind in ("receivers", "processors", "exporters"):
        assert {name for one in pipelines for name in one[kind]} == set(collector[kind])


def test_the_collector_reaches_prometheus_and_jaeger() -> None:
    # https://prometheus.io/docs/guides/opentelemetry/
    assert pushed_to("otlp_http/prometheus") == ("prometheus", 9090, "/api/v1/otlp")
    assert "--web.enable-otlp-receiver" in services()["prometheus"]["command"]
    names = configuration("prometheus.yaml")["otlp"]["translation_strategy"]
    assert names == "UnderscoreEscapingWithSuffixes", "test_dashboards makes names by that"
    # https://www.jaegertracing.io/docs/latest/architecture/apis/
    assert pushed_to("otlp_http/jaeger") == ("jaeger", 4318, "")


def test_prometheus_reads_the_file_that_is_mounted() -> None:
    prometheus = services()["prometheus"]
    (option,) = [one for one in prometheus["command"] if one.startswith("--config.file=")]
    targets = {volume.split(":")[1] for volume in prometheus["volumes"]}
    paths = {one.partition("=")[2] for one in prometheus["command"] if "path=" in one}
    assert {option.partition("=")[2], *paths} == targets


def test_grafana_reads_what_is_provisioned_and_can_reach_its_sources() -> None:
    grafana = services()["grafana"]
    (volume,) = grafana["volumes"]
    assert volume.endswith(":/etc/grafana/provisioning:ro")
    sources = configuration("grafana/datasources/datasources.yaml")["datasources"]
    assert {urlsplit(one["url"]).hostname for one in sources} <= set(services())
    (provider,) = configuration("grafana/dashboards/dashboards.yaml")["providers"]
    home = Path(grafana["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"])
    assert str(home.parent) == provider["options"]["path"]
    json.loads((ROOT / "infrastructure/compose/grafana/dashboards" / home.name).read_text("utf-8"))


def test_the_steps_between_figures_are_as_long_as_prosa_sends_them() -> None:
    (prometheus,) = [
        one
        for one in configuration("grafana/datasources/datasources.yaml")["datasources"]
        if one["type"] == "prometheus"
    ]
    sent = services()["server"]["environment"]["OTEL_METRIC_EXPORT_INTERVAL"]
    assert seconds(prometheus["jsonData"]["timeInterval"]) * 1000 == int(sent)
