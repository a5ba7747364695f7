"""Distributions of what is measured: by OpenTelemetry's histograms, or gathered here.

A histogram of the SDK takes 8 µs for each measurement, and a turn has five to seven: it reads the
attributes anew each time. Here they are the key of a dictionary, at a thirtieth of that.
"""

import time
from bisect import bisect_left
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, Protocol

from opentelemetry.metrics import Histogram, Meter
from opentelemetry.sdk.metrics.export import (
    AggregationTemporality,
    HistogramDataPoint,
    Metric,
    MetricsData,
    ScopeMetrics,
)
from opentelemetry.sdk.metrics.export import Histogram as HistogramPoints

from prosa.adapters.opentelemetry import names

Value = str | int
"""Of an attribute. An empty one is none."""


class Distribution(Protocol):
    """Takes measurements."""

    def add(self, measured: float, *values: Value) -> None:
        """Add one, with the values of the distribution's attributes."""


MakeDistribution = Callable[[str, str, Sequence[float], Sequence[str]], Distribution]
"""Makes one by name, unit, upper bounds of the buckets, and names of the attributes."""


def of_meter(meter: Meter) -> MakeDistribution:
    """Have distributions be histograms of a meter."""

    def make(
        name: str, unit: str, bounds: Sequence[float], attributes: Sequence[str]
    ) -> Distribution:
        histogram = meter.create_histogram(
            name, unit=unit, explicit_bucket_boundaries_advisory=bounds
        )
        return _Recorded(histogram, attributes)

    return make


class _Recorded(Distribution):
    """A histogram of OpenTelemetry's."""

    def __init__(self, histogram: Histogram, attributes: Sequence[str]) -> None:
        self._histogram = histogram
        self._attributes = attributes

    def add(self, measured: float, *values: Value) -> None:
        self._histogram.record(measured, named(self._attributes, values))


class GatheredDistributions:
    """Distributions that are kept here, from the start of the process on."""

    def __init__(self, clock: Callable[[], int] = time.time_ns) -> None:
        """`clock` gives nanoseconds since 1970."""
        self._clock = clock
        self._began_at = clock()
        self._all: list[_Gathered] = []

    def make(
        self, name: str, unit: str, bounds: Sequence[float], attributes: Sequence[str]
    ) -> Distribution:
        """Make one; it is a MakeDistribution."""
        made = _Gathered(name, unit, bounds, attributes)
        self._all.append(made)
        return made

    def added_to(self, collected: MetricsData) -> MetricsData:
        """Add them to what the SDK has collected of Prosa's own."""
        now = self._clock()
        known = [made.read(self._began_at, now) for made in self._all if made.found]

        def with_them(scope: ScopeMetrics) -> ScopeMetrics:
            ours = scope.scope.name == names.SCOPE
            return replace(scope, metrics=[*scope.metrics, *known]) if ours else scope

        return MetricsData(
            [
                replace(resource, scope_metrics=[*map(with_them, resource.scope_metrics)])
                for resource in collected.resource_metrics
            ]
        )


class _Gathered(Distribution):
    """One distribution. A single thread adds; another one may read meanwhile."""

    def __init__(
        self, name: str, unit: str, bounds: Sequence[float], attributes: Sequence[str]
    ) -> None:
        self.found: dict[tuple[Value, ...], _Found] = {}
        self._name = name
        self._unit = unit
        self._bounds: Final = tuple(bounds)
        self._attributes = attributes

    def add(self, measured: float, *values: Value) -> None:
        found = self.found.get(values)
        if found is None:
            found = self.found[values] = _Found(measured, len(self._bounds) + 1)
        found.counts[bisect_left(self._bounds, measured)] += 1
        found.sum += measured
        if measured < found.least:
            found.least = measured
        elif measured > found.most:
            found.most = measured

    def read(self, began_at: int, now: int) -> Metric:
        """Write all that was added, as the SDK would have collected it."""
        points = [
            self._point(values, found, began_at, now) for values, found in self.found.copy().items()
        ]
        data = HistogramPoints(points, AggregationTemporality.CUMULATIVE)
        return Metric(self._name, "", self._unit, data)

    def _point(
        self, values: tuple[Value, ...], found: "_Found", began_at: int, now: int
    ) -> HistogramDataPoint:
        counts = tuple(found.counts)
        return HistogramDataPoint(
            attributes=named(self._attributes, values),
            start_time_unix_nano=began_at,
            time_unix_nano=now,
            count=sum(counts),
            sum=found.sum,
            bucket_counts=counts,
            explicit_bounds=self._bounds,
            min=found.least,
            max=found.most,
        )


class _Found:
    """What was measured with the same attributes."""

    __slots__ = ("counts", "least", "most", "sum")

    def __init__(self, first: float, buckets: int) -> None:
        self.counts = [0] * buckets
        self.sum = 0.0
        self.least = self.most = first


def named(attributes: Sequence[str], values: Sequence[Value]) -> dict[str, Value]:
    """Put names to the values that are not empty."""
    return {name: value for name, value in zip(attributes, values, strict=True) if value != ""}
