"""Distributions that are gathered here are those that OpenTelemetry would have collected."""

from collections.abc import Sequence
from random import Random
from typing import Any

import pytest
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    Histogram,
    InMemoryMetricReader,
    MetricsData,
)

from prosa.adapters.opentelemetry import names
from prosa.adapters.opentelemetry.distributions import (
    Distribution,
    GatheredDistributions,
    of_meter,
)

BOUNDS = (0.01, 0.1, 1.0, 10.0)
ROUTES = (("GET", "/v1/turns/{turn_id}", 200), ("POST", "/v1/messages", 404), ("POST", "", ""))


class BothWays:
    """The same distribution twice, and both as they would be sent."""

    def __init__(self) -> None:
        self._reader = InMemoryMetricReader()
        provider = MeterProvider([self._reader], shutdown_on_exit=False)
        provider.get_meter("another").create_counter("anothers").add(1)
        meter = provider.get_meter(names.SCOPE)
        meter.create_counter("something.to.collect").add(1)
        self._gathered = GatheredDistributions(clock=iter((5, 7)).__next__)
        told = ("request", "s", BOUNDS, ("method", "route", "status"))
        self._ways: Sequence[Distribution] = (of_meter(meter)(*told), self._gathered.make(*told))

    def add(self, measured: float, *values: str | int) -> None:
        for way in self._ways:
            way.add(measured, *values)

    def sent(self) -> list[Histogram]:
        collected = self._reader.get_metrics_data()
        assert isinstance(collected, MetricsData)
        (resource,) = self._gathered.added_to(collected).resource_metrics
        every = [metric for scope in resource.scope_metrics for metric in scope.metrics]
        found = [metric for metric in every if metric.name == "request"]
        assert {metric.unit for metric in found} <= {"s"}
        return [metric.data for metric in found if isinstance(metric.data, Histogram)]


def points_of(histogram: Histogram) -> dict[tuple[Any, ...], tuple[Any, ...]]:
    """Give all that is told of each point, but its times."""
    return {
        tuple(sorted((point.attributes or {}).items())): (
            *(point.count, tuple(point.bucket_counts), tuple(point.explicit_bounds)),
            *(point.min, point.max, pytest.approx(point.sum)),
        )
        for point in histogram.data_points
    }


def test_counts_sums_and_extremes_are_the_same() -> None:
    random, both = Random(5), BothWays()  # noqa: S311 - the same figures each time
    for _ in range(500):
        both.add(random.choice([*BOUNDS, random.expovariate(1)]), *random.choice(ROUTES))
    theirs, ours = both.sent()
    assert points_of(ours) == points_of(theirs)
    assert len(points_of(ours)) == len(ROUTES)
    assert ours.aggregation_temporality is AggregationTemporality.CUMULATIVE


def test_times_are_of_the_start_and_of_the_reading() -> None:
    both = BothWays()
    both.add(0.5, *ROUTES[0])
    _, ours = both.sent()
    (point,) = ours.data_points
    assert (point.start_time_unix_nano, point.time_unix_nano) == (5, 7)


def test_what_was_never_measured_is_not_sent() -> None:
    assert BothWays().sent() == []
