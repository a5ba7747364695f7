"""Builds OpenTelemetry's providers by its own standard variables: OTLP over HTTP to any collector.

https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

import os
from collections.abc import Iterable, Sequence
from importlib.metadata import PackageNotFoundError, version
from typing import Final
from uuid import uuid4

from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanProcessor, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.sdk.trace.sampling import ALWAYS_ON, Sampler
from opentelemetry.trace import NoOpTracerProvider
from opentelemetry.trace import TracerProvider as AnyTracerProvider

from prosa.adapters.opentelemetry.content import Content
from prosa.adapters.opentelemetry.distributions import GatheredDistributions
from prosa.adapters.opentelemetry.sampling import TraceBudget
from prosa.adapters.opentelemetry.telemetry import Telemetry

_ABOUT_HISTOGRAMS: Final = (
    "OTEL_EXPORTER_OTLP_METRICS_DEFAULT_HISTOGRAM_AGGREGATION",
    "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE",
    "OTEL_METRICS_EXEMPLAR_FILTER",
)
"""Variables that ask for what only the SDK's histograms have."""


def telemetry_by_environment(
    *,
    environment_name: str,
    traces: bool,
    metrics: bool,
    content: Content = Content.NONE,
    watchers: Iterable[SpanProcessor] = (),
) -> Telemetry:
    """Send traces and metrics where they are wanted; `watchers` see every span besides.

    Where there are watchers, every trace is kept; else OTEL_TRACES_SAMPLER says which, and without
    it a budget.
    """
    watching = tuple(watchers)
    processors = [*watching, _sending_spans()] if traces else watching
    resource = Resource.create(_described(environment_name))
    chosen = watching or os.environ.get("OTEL_TRACES_SAMPLER")
    gathered = None if any(map(os.environ.get, _ABOUT_HISTOGRAMS)) else GatheredDistributions()
    return Telemetry(
        _tracer_provider(resource, processors, ALWAYS_ON if watching else None),
        _meter_provider(resource, gathered) if metrics else NoOpMeterProvider(),
        content=content,
        budget=None if chosen else TraceBudget(),
        distribution=gathered.make if metrics and gathered else None,
    )


def _described(environment_name: str) -> dict[str, str]:
    """Say what this process is, where the variables do not."""
    described = {
        "deployment.environment.name": environment_name,
        # Each process counts for itself.
        "service.instance.id": str(uuid4()),
    }
    told = os.environ.get("OTEL_RESOURCE_ATTRIBUTES", "")
    if not os.environ.get("OTEL_SERVICE_NAME") and "service.name=" not in told:
        described["service.name"] = "prosa"
    try:
        described["service.version"] = version("prosa")
    except PackageNotFoundError:
        return described  # it runs from a folder
    return described


def _tracer_provider(
    resource: Resource, processors: Sequence[SpanProcessor], sampler: Sampler | None
) -> AnyTracerProvider:
    """Make it; where nobody takes the spans, there are none, and nothing stored names a trace."""
    if not processors:
        return NoOpTracerProvider()
    provider = TracerProvider(resource=resource, sampler=sampler, shutdown_on_exit=False)
    for processor in processors:
        provider.add_span_processor(processor)
    return provider


def _sending_spans() -> SpanProcessor:
    # Slow to load, and of no use to a watcher.
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - as said
        OTLPSpanExporter,
    )

    return BatchSpanProcessor(OTLPSpanExporter())


def _meter_provider(resource: Resource, gathered: GatheredDistributions | None) -> MeterProvider:
    # Slow to load, as above.
    from prosa.adapters.opentelemetry.metric_exporter import (  # noqa: PLC0415 - as said
        OtlpMetricExporter,
    )

    # Exemplars more than double what a measurement costs.
    wanted = os.environ.get("OTEL_METRICS_EXEMPLAR_FILTER")
    return MeterProvider(
        [PeriodicExportingMetricReader(OtlpMetricExporter(gathered))],
        resource=resource,
        exemplar_filter=None if wanted else AlwaysOffExemplarFilter(),
        shutdown_on_exit=False,
    )
