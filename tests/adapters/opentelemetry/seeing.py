"""An app whose telemetry is kept in memory, and ways to look at it."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager, nullcontext
from dataclasses import dataclass, replace
from typing import Any

import httpx
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.sdk.trace.sampling import Sampler

from prosa.adapters.opentelemetry.content import Content
from prosa.adapters.opentelemetry.gen_ai_names import USUAL, GenAIMetrics
from prosa.adapters.opentelemetry.telemetry import Telemetry
from prosa.application.ports.language_model import LanguageModel
from prosa.bootstrap import App, bootstrap
from prosa.entrypoints.http.app import create_app
from prosa.settings import Settings

MESSAGES = "/v1/messages"
STREAM = {"accept": "text/event-stream"}


@dataclass(frozen=True, kw_only=True)
class Point:
    """A measured value, or of a distribution the sum, and of how many."""

    value: float
    attributes: Mapping[str, Any]
    count: int = 1


class Seen:
    """Telemetry in memory."""

    def __init__(
        self,
        *,
        content: Content = Content.NONE,
        gen_ai_metrics: GenAIMetrics = USUAL,
        sampler: Sampler | None = None,
    ) -> None:
        self._spans = InMemorySpanExporter()
        self._metrics = InMemoryMetricReader()
        self.traces = TracerProvider(sampler=sampler, shutdown_on_exit=False)
        self.traces.add_span_processor(SimpleSpanProcessor(self._spans))
        self.telemetry = Telemetry(
            self.traces,
            MeterProvider([self._metrics], shutdown_on_exit=False),
            content=content,
            gen_ai_metrics=gen_ai_metrics,
        )

    @property
    def spans(self) -> tuple[ReadableSpan, ...]:
        """Those that have ended, by when they began."""
        return tuple(sorted(self._spans.get_finished_spans(), key=lambda it: it.start_time or 0))

    def named(self, name: str) -> list[ReadableSpan]:
        return [span for span in self.spans if span.name == name]

    def one(self, name: str) -> ReadableSpan:
        (span,) = self.named(name)
        return span

    def tree(self) -> list[str]:
        """Write each span's name behind those of the spans that it is in."""
        return [self._path(span) for span in self.spans]

    def metrics(self) -> dict[str, list[Point]]:
        return points_of(self._metrics)

    def _path(self, span: ReadableSpan) -> str:
        parent = self._parent(span)
        return f"{self._path(parent)} > {span.name}" if parent else span.name

    def _parent(self, span: ReadableSpan) -> ReadableSpan | None:
        wanted = span.parent.span_id if span.parent else None
        return next((it for it in self.spans if context_of(it).span_id == wanted), None)


@dataclass(frozen=True, kw_only=True)
class SeenApp:
    """An app that is served, and what is seen of it."""

    app: App
    client: httpx.AsyncClient

    async def say(self, text: str = "Olá!", **headers: str) -> httpx.Response:
        return await self.client.post(MESSAGES, json={"text": text}, headers=headers)


@asynccontextmanager
async def seen_app(
    settings: Settings, seen: Seen, model: LanguageModel | None = None
) -> AsyncIterator[SeenApp]:
    """Serve an app by ASGI; no chore runs, so that a test says when events are relayed."""
    async with bootstrap(settings, model=model, telemetry=seen.telemetry) as app:
        served = create_app(lambda: nullcontext(replace(app, chores=())))
        transport = httpx.ASGITransport(served, raise_app_exceptions=False)
        async with (
            served.router.lifespan_context(served),
            httpx.AsyncClient(transport=transport, base_url="http://prosa") as client,
        ):
            yield SeenApp(app=app, client=client)


async def ended(seen: Seen, name: str) -> None:
    """Wait for a span that ends in a task of its own."""
    async with asyncio.timeout(60):
        while not seen.named(name):  # noqa: ASYNC110 - nothing tells of the end of a span
            await asyncio.sleep(0.01)


def points_of(reader: InMemoryMetricReader) -> dict[str, list[Point]]:
    """Read all metrics, by their names."""
    data = reader.get_metrics_data()
    found: dict[str, list[Point]] = {}
    for resource in data.resource_metrics if data else ():
        for metric in (each for scope in resource.scope_metrics for each in scope.metrics):
            found.setdefault(metric.name, []).extend(map(_point, metric.data.data_points))
    return found


def attributes_of(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def context_of(span: ReadableSpan) -> Any:  # noqa: ANN401 - a span that has ended has one
    return span.get_span_context()


def trace_ids(spans: Iterable[ReadableSpan]) -> set[str]:
    return {f"{context_of(span).trace_id:032x}" for span in spans}


def _point(point: Any) -> Point:  # noqa: ANN401 - of one of several classes
    attributes = dict(point.attributes or {})
    if hasattr(point, "sum"):
        return Point(value=point.sum, count=point.count, attributes=attributes)
    return Point(value=point.value, attributes=attributes)
