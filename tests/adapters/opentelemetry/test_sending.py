"""Sending: to a real collector, to one that hangs or refuses, from Lambda, and not at all."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from opentelemetry.proto.metrics.v1.metrics_pb2 import AggregationTemporality

from prosa.bootstrap import bootstrap
from prosa.domain.errors import ConfigurationError
from prosa.entrypoints.http.app import create_app
from prosa.settings import Settings
from tests.adapters.opentelemetry.collector import Collector, collecting
from tests.entrypoints.aws_lambda.gateway import answer_from, http_api_event, post
from tests.lambda_runtime import lambda_function

ROOT = Path(__file__).parents[3]
LATER = datetime.now(UTC) + timedelta(hours=1)
ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with collecting() as collector:
        yield collector


@pytest.fixture
def sending(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> Collector:
    """Have telemetry sent to the collector, as the environment says."""
    monkeypatch.setenv(ENDPOINT, collector.url)
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
    return collector


async def take_a_turn(settings: Settings) -> None:
    """Take a turn by HTTP in an app of its own."""
    async with bootstrap(settings) as app:
        served = create_app(lambda: nullcontext(replace(app, chores=())))
        transport = httpx.ASGITransport(served)
        async with (
            served.router.lifespan_context(served),
            httpx.AsyncClient(transport=transport, base_url="http://prosa") as client,
        ):
            answer = await client.post("/v1/messages", json={"text": "Olá!"})
            assert answer.status_code == 200


async def test_traces_and_metrics_go_to_any_collector_when_the_app_is_closed(
    settings: Settings, sending: Collector
) -> None:
    await take_a_turn(settings)
    assert {span.name for span in sending.spans} >= {"POST /v1/messages", "run", "commit"}
    assert len({span.trace_id for span in sending.spans}) == 1
    assert sending.metric_names >= {"prosa.turns", "http.server.request.duration"}
    told = sending.resource
    assert told["service.name"] == "prosa"
    assert told["deployment.environment.name"] == "development"
    assert told["service.instance.id"]


async def test_the_standard_variables_say_more(
    settings: Settings, sending: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_SERVICE_NAME", "loja")
    monkeypatch.setenv("OTEL_METRICS_EXPORTER", "none")
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_COMPRESSION", "gzip")
    await take_a_turn(settings)
    assert sending.resource["service.name"] == "loja"
    assert sending.spans
    assert not sending.metrics


async def test_where_only_metrics_have_an_endpoint_only_they_are_sent(
    settings: Settings, collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", f"{collector.url}/v1/metrics")
    await take_a_turn(settings)
    assert collector.metric_names >= {"prosa.turns"}
    assert not collector.traces
    async with bootstrap(settings) as app:
        waiting = await app.outbox.take(limit=1, now=LATER, until=LATER)
    assert "traceparent" not in waiting[0].event.envelope


async def test_a_sampler_of_the_environment_takes_the_place_of_the_budget(
    settings: Settings, sending: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_TRACES_SAMPLER", "always_off")
    await take_a_turn(settings)
    assert not sending.spans
    assert sending.metrics


@pytest.mark.parametrize(("asked", "kind"), [(None, "CUMULATIVE"), ("delta", "DELTA")])
async def test_distributions_are_sent_as_the_variables_ask(
    settings: Settings,
    sending: Collector,
    monkeypatch: pytest.MonkeyPatch,
    asked: str | None,
    kind: str,
) -> None:
    if asked:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", asked)
    await take_a_turn(settings)
    sent = sending.histogram("http.server.request.duration")
    assert AggregationTemporality.Name(sent.aggregation_temporality).endswith(kind)
    (point,) = sent.data_points
    assert point.count == 1
    assert point.sum > 0
    told = {each.key: each.value for each in point.attributes}
    assert told["http.route"].string_value == "/v1/messages"
    assert told["http.response.status_code"].int_value == 200


async def test_a_collector_that_hangs_delays_no_turn_and_the_end_by_two_seconds(
    settings: Settings, sending: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "30")
    sending.hang()
    # Far less than the collector would take; far more than a turn does on a busy machine.
    async with asyncio.timeout(15):
        await take_a_turn(settings)
    assert sending.asked.is_set()
    assert not sending.traces


async def test_a_collector_that_refuses_fails_no_turn(
    settings: Settings, sending: Collector
) -> None:
    sending.status = 400
    await take_a_turn(settings)
    assert sending.asked.is_set()


async def test_a_collector_that_is_not_there_fails_no_turn(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:9")
    await take_a_turn(settings)


@pytest.mark.parametrize(
    ("variable", "told"),
    [
        ("OTEL_TRACES_EXPORTER=zipkin", "OTEL_TRACES_EXPORTER is 'zipkin'"),
        ("OTEL_EXPORTER_OTLP_PROTOCOL=grpc", "Prosa speaks http/protobuf"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT=nonsense", "write OTEL_EXPORTER_OTLP_ENDPOINT as in http://"),
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=localhost:4318", "OpenTelemetry's metrics is no"),
        ("OTEL_TRACES_SAMPLER=foo", "OTEL_TRACES_SAMPLER is 'foo'; allowed are always_on, "),
    ],
)
async def test_what_prosa_cannot_do_stops_the_start(
    settings: Settings,
    sending: Collector,
    monkeypatch: pytest.MonkeyPatch,
    variable: str,
    told: str,
) -> None:
    monkeypatch.setenv(*variable.split("="))
    with pytest.raises(ConfigurationError, match=told):
        async with bootstrap(settings):
            pass
    assert not sending.traces


@pytest.mark.parametrize("switch", [{}, {"OTEL_SDK_DISABLED": "true", ENDPOINT: "http://x"}])
def test_where_nobody_wants_telemetry_nothing_of_it_is_loaded(
    settings: Settings, switch: dict[str, str]
) -> None:
    program = f"""
import asyncio, json, sys
from contextlib import nullcontext
from prosa.bootstrap import bootstrap
from prosa.entrypoints.cli.main import main
from prosa.entrypoints.http.app import create_app
from prosa.entrypoints.consuming import consume_messages_of
from prosa.settings import Settings
async def take_a_turn():
    settings = Settings(database_url={settings.database_url!r}, models="scripted")
    async with bootstrap(settings) as app:
        assert app.telemetry is None
        served = create_app(lambda: nullcontext(app))
        async with served.router.lifespan_context(served):
            stack = served.middleware_stack
        consume_messages_of(app)
asyncio.run(take_a_turn())
found = ("opentelemetry", "prosa.adapters.opentelemetry")
print(json.dumps([name for name in sys.modules if name.startswith(found)]))
"""
    # What FastAPI loads by itself, where it is installed, is its own affair.
    bare = "\n".join(["import json, sys, fastapi", *program.splitlines()[-2:]])
    assert _loaded(program, switch) == _loaded(bare, switch)


def test_where_opentelemetry_is_not_installed_the_extra_is_named() -> None:
    program = """
import json, sys
sys.modules["opentelemetry"] = None
from prosa.bootstrap.telemetry import make_telemetry
from prosa.domain.errors import ConfigurationError
from prosa.settings import Settings
try:
    make_telemetry(Settings(models="scripted"))
except ConfigurationError as error:
    print(json.dumps([str(error)]))
"""
    assert _loaded(program, {}) == ["telemetry goes by OpenTelemetry: install prosa[otel]"]


def _loaded(program: str, switch: dict[str, str]) -> list[str]:
    environment = {"PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT), **switch}
    result = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        check=False,
        env=environment,
        text=True,
        timeout=60,
    )
    assert result.returncode == 0, result.stderr
    return sorted(json.loads(result.stdout.splitlines()[-1]))


def test_a_function_sends_what_it_saw_before_its_invocation_ends(
    sqlite_url: str, collector: Collector, tmp_path: Path
) -> None:
    variables = {
        "PROSA_MODELS": "scripted",
        "PROSA_DATABASE_URL": sqlite_url,
        ENDPOINT: collector.url,
        # Nothing is sent in between.
        "OTEL_BSP_SCHEDULE_DELAY": "60000",
        "AWS_LAMBDA_LOG_FORMAT": "JSON",
    }
    with lambda_function("prosa.entrypoints.aws_lambda.http", variables, tmp_path) as function:
        event = http_api_event(post("/v1/messages", "key-1", text="Olá!"))
        answer = answer_from(function.invoke(event))
        sent = {span.name for span in collector.spans}
        metrics = collector.metric_names
        logged = [json.loads(line) for line in function.log.splitlines() if "prosa.events" in line]
    assert answer.status == 200
    relays = {span.trace_id.hex() for span in collector.spans if span.name == "relay"}
    assert {event["trace_id"] for event in logged} == relays
    assert sent >= {"POST /v1/messages", "run", "publish conversation.turn.completed.v1"}
    assert "prosa.turns" in metrics


def test_a_function_waits_only_a_moment_for_a_collector_that_hangs(
    sqlite_url: str, collector: Collector, tmp_path: Path
) -> None:
    collector.hang()
    variables = {
        "PROSA_MODELS": "scripted",
        "PROSA_DATABASE_URL": sqlite_url,
        ENDPOINT: collector.url,
    }
    with lambda_function("prosa.entrypoints.aws_lambda.relay_outbox", variables, tmp_path) as relay:
        assert relay.invoke({}) == {"published": 0, "failed": 0, "parked": 0}
    assert collector.asked.is_set()
    assert not collector.metrics


async def test_a_flush_does_not_wait_for_what_hangs_already(
    settings: Settings, sending: Collector
) -> None:
    sending.hang()
    async with bootstrap(settings) as app:
        assert app.telemetry is not None
        assert not await app.telemetry.flush(0.05)
        async with asyncio.timeout(10):
            assert not await app.telemetry.flush(60)
        sending.released.set()
