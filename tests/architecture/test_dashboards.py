"""The dashboard asks Prometheus for nothing but what Prosa measures, by the names it has there."""

import json
import os
import re
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

import promql_parser
import pytest
import yaml
from opentelemetry.proto.metrics.v1.metrics_pb2 import Metric

from prosa.adapters.opentelemetry.catalog import METRICS
from prosa.adapters.opentelemetry.metrics import BREAKER_VALUES
from prosa.application.accept_turn import CustomerMessage
from prosa.bootstrap import bootstrap
from prosa.settings import Settings
from tests.adapters.opentelemetry.collector import collecting
from tests.architecture.containers import ROOT
from tests.containers.__main__ import QUIET

GRAFANA = ROOT / "infrastructure" / "compose" / "grafana"

SHOWN = {
    "prosa_turns_total": "turns by outcome",
    "prosa_turn_duration_seconds_bucket": "latency",
    "prosa_turn_time_to_first_text_seconds_bucket": "time to first text",
    "prosa_turns_recovered_total": "recovered turns",
    "http_server_request_duration_seconds_count": "answers by status",
    "gen_ai_client_operation_duration_seconds_bucket": "how long models take",
    "gen_ai_client_operation_duration_seconds_count": "calls that failed",
    "gen_ai_client_operation_time_to_first_chunk_seconds_bucket": "time to first chunk",
    "gen_ai_client_token_usage_sum": "tokens by model",
    "prosa_model_fallbacks_total": "fallbacks",
    "prosa_breaker_state": "breakers",
    "prosa_outbox_waiting": "depth of the outbox",
    "prosa_outbox_oldest_seconds": "age of the oldest event",
    "prosa_outbox_parked": "parked events",
    "prosa_outbox_events_total": "what became of events",
}
"""What the dashboard has to have, by the names of Prometheus."""

UNITS = {"s": "seconds"}


# How Prometheus writes what comes by OTLP, translation strategy UnderscoreEscapingWithSuffixes:
# https://opentelemetry.io/docs/specs/otel/compatibility/prometheus_and_openmetrics/


def name_of(name: str, kind: str, unit: str) -> str:
    """Give a metric its name in Prometheus; a unit in braces is only a note."""
    unit = UNITS[unit] if unit and not unit.startswith("{") else ""
    total = "total" if kind == "counter" else ""
    return "_".join(filter(None, (re.sub(r"\W", "_", name), unit, total)))


def series_of(name: str, kind: str, unit: str) -> tuple[str, ...]:
    """Name all that is stored of a metric."""
    written = name_of(name, kind, unit)
    if kind != "histogram":
        return (written,)
    return tuple(f"{written}_{part}" for part in ("bucket", "count", "sum"))


def labels_of(attributes: tuple[str, ...], series: str) -> set[str]:
    found = {re.sub(r"\W", "_", attribute) for attribute in attributes}
    return found | {"le"} if series.endswith("_bucket") else found


@cache
def known() -> Mapping[str, set[str]]:
    """Every series that Prosa's metrics make, with its labels."""
    return {
        series: labels_of(tuple(entry.attributes), series)
        for entry in METRICS
        for series in series_of(entry.name, entry.kind, entry.unit)
    }


# What the dashboard has


@cache
def dashboard() -> dict[str, Any]:
    path = GRAFANA / "dashboards" / "prosa.json"
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def panels() -> list[dict[str, Any]]:
    return [panel for panel in dashboard()["panels"] if panel["type"] != "row"]


def queries() -> list[dict[str, Any]]:
    return [target for panel in panels() for target in panel["targets"] if "expr" in target]


each_query = pytest.mark.parametrize("target", queries(), ids=lambda target: target["expr"])


def parse(expression: str) -> promql_parser.Expr:
    """Read a query. Raises ValueError."""
    return promql_parser.parse(expression.replace("$__rate_interval", "1m"))


def parts(expression: object) -> Iterator[object]:
    """Give an expression and all that it is made of."""
    yield expression
    inner = [getattr(expression, name, None) for name in ("expr", "lhs", "rhs", "vector_selector")]
    for part in [*inner, *getattr(expression, "args", ())]:
        if part is not None:
            yield from parts(part)


def selected(expression: str) -> list[promql_parser.VectorSelector]:
    return [
        one for one in parts(parse(expression)) if isinstance(one, promql_parser.VectorSelector)
    ]


def grouped_by(expression: str) -> set[str]:
    """Name the labels that an expression's results are told apart by."""
    sums = [one for one in parts(parse(expression)) if isinstance(one, promql_parser.AggregateExpr)]
    assert len(sums) == 1, "a sum or a maximum over all processes is wanted"
    return set(sums[0].modifier.labels) if sums[0].modifier else set()


@each_query
def test_a_query_names_what_prosa_measures(target: dict[str, Any]) -> None:
    for one in selected(target["expr"]):
        assert one.name in known()


@each_query
def test_a_query_names_labels_that_the_metric_has(target: dict[str, Any]) -> None:
    (metric,) = selected(target["expr"])
    matched = {matcher.name for matcher in metric.matchers.matchers}
    assert matched | grouped_by(target["expr"]) <= known()[metric.name or ""]


@each_query
def test_a_legend_names_what_the_results_are_told_apart_by(target: dict[str, Any]) -> None:
    wanted = grouped_by(target["expr"]) - {"le"}
    assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) == wanted


@each_query
def test_a_counter_is_asked_for_its_increase_and_a_gauge_for_its_value(
    target: dict[str, Any],
) -> None:
    expression = target["expr"]
    (metric,) = selected(expression)
    gauge = not (metric.name or "").endswith(("_total", "_bucket", "_count", "_sum"))
    calls = {
        one.func.name for one in parts(parse(expression)) if isinstance(one, promql_parser.Call)
    }
    assert calls & {"rate", "increase"} == set() if gauge else calls & {"rate", "increase"}


def test_everything_that_is_wanted_is_shown() -> None:
    shown = {one.name for target in queries() for one in selected(target["expr"])}
    assert shown == set(SHOWN)


def test_the_trial_knows_the_panels_that_have_nothing_to_show() -> None:
    assert set(QUIET) < {panel["title"] for panel in panels()}


def test_the_states_of_breakers_have_their_names() -> None:
    (panel,) = [one for one in panels() if one["title"] == "Breakers"]
    (mapping,) = panel["fieldConfig"]["defaults"]["mappings"]
    shown = {int(value): entry["text"] for value, entry in mapping["options"].items()}
    assert shown == {value: name.replace("_", " ") for name, value in BREAKER_VALUES.items()}


def test_every_panel_asks_a_source_that_is_provisioned() -> None:
    text = (GRAFANA / "datasources" / "datasources.yaml").read_text(encoding="utf-8")
    sources = {(one["uid"], one["type"]) for one in yaml.safe_load(text)["datasources"]}
    for panel in panels():
        for one in (panel, *panel["targets"]):
            assert (one["datasource"]["uid"], one["datasource"]["type"]) in sources


def test_every_panel_has_its_own_place_and_says_what_it_shows() -> None:
    assert len({panel["id"] for panel in dashboard()["panels"]}) == len(dashboard()["panels"])
    taken: set[tuple[int, int]] = set()
    for panel in dashboard()["panels"]:
        place = panel["gridPos"]
        cells = {
            (place["x"] + right, place["y"] + down)
            for right in range(place["w"])
            for down in range(place["h"])
        }
        assert not cells & taken, panel["title"]
        assert max(right for right, _ in cells) < 24
        taken |= cells
        assert panel["type"] == "row" or panel["description"]


# What is sent


def kind_of(metric: Metric) -> str:
    """Say what a metric is, as it is on the wire."""
    kind = str(metric.WhichOneof("data"))
    if kind == "sum":
        assert metric.sum.is_monotonic
        return "counter"
    return kind


def attributes_of(metric: Metric) -> set[str]:
    points = getattr(metric, str(metric.WhichOneof("data"))).data_points
    return {attribute.key for point in points for attribute in point.attributes}


async def test_what_is_sent_is_what_the_names_were_made_of(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith(("OTEL_", "PROSA_"))]:
        monkeypatch.delenv(name)
    with collecting() as collector:
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", f"{collector.url}/v1/metrics")
        async with bootstrap(Settings(database_url=sqlite_url, models="scripted")) as app:
            await app.take_turn(CustomerMessage(text="Olá!", customer_id="ana"))
            await app.relay_outbox()
        sent = [
            metric
            for request in collector.metrics
            for resource in request.resource_metrics
            for scope in resource.scope_metrics
            for metric in scope.metrics
        ]
    assert {metric.name for metric in sent} >= {"prosa.turns", "prosa.turn.duration"}
    for metric in sent:
        for series in series_of(metric.name, kind_of(metric), metric.unit):
            written = {re.sub(r"\W", "_", name) for name in attributes_of(metric)}
            assert written <= known()[series]
