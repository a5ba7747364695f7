"""Sends metrics by OTLP over HTTP: what the SDK has collected, and distributions beside it."""

from typing import Any

from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import MetricExportResult, MetricsData

from prosa.adapters.opentelemetry.distributions import GatheredDistributions


class OtlpMetricExporter(OTLPMetricExporter):
    """OpenTelemetry's own exporter, which is given some more to send."""

    def __init__(self, gathered: GatheredDistributions | None) -> None:
        super().__init__()
        self._gathered = gathered

    def export(
        self,
        metrics_data: MetricsData,
        timeout_millis: float | None = 10_000,
        **others: Any,  # noqa: ANN401 - as the exporter has it
    ) -> MetricExportResult:
        """Send both as one."""
        whole = self._gathered.added_to(metrics_data) if self._gathered else metrics_data
        return super().export(whole, timeout_millis, **others)
