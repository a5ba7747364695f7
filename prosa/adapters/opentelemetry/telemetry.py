"""Telemetry as one thing: what makes spans and metrics, and what sends them."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from typing import Final

from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import TracerProvider

from prosa.adapters.opentelemetry import names
from prosa.adapters.opentelemetry.content import Content
from prosa.adapters.opentelemetry.distributions import MakeDistribution
from prosa.adapters.opentelemetry.gen_ai_names import GenAIMetrics, metrics_by
from prosa.adapters.opentelemetry.metrics import Metrics
from prosa.adapters.opentelemetry.sampling import TraceBudget
from prosa.adapters.opentelemetry.spans import Tracing
from prosa.domain.identifiers import Clock

SECONDS_TO_FLUSH: Final = 2.0
"""How long what is left may take to be sent, at the end of a process or an invocation."""


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Telemetry:
    """Traces and metrics by any OpenTelemetry providers: Prosa's own, or those of a host program.

    Whatever becomes of what they send, nobody here waits for it longer than he says.
    """

    def __init__(
        self,
        tracer_provider: TracerProvider,
        meter_provider: MeterProvider,
        *,
        content: Content = Content.NONE,
        gen_ai_metrics: GenAIMetrics | None = None,
        budget: TraceBudget | None = None,
        distribution: MakeDistribution | None = None,
        clock: Clock = _utc_now,
    ) -> None:
        """Without `gen_ai_metrics` OTEL_SEMCONV_STABILITY_OPT_IN chooses their names.

        Without `budget` the provider's sampler decides which traces are kept, and without
        `distribution` the provider's histograms take what is measured.
        """
        self.content = content
        self.tracing = Tracing(tracer_provider.get_tracer(names.SCOPE), budget)
        chosen = gen_ai_metrics or metrics_by()
        self.metrics = Metrics(meter_provider.get_meter(names.SCOPE), chosen, clock, distribution)
        self._providers = (tracer_provider, meter_provider)
        self._sending: set[threading.Thread] = set()

    async def flush(self, seconds: float = SECONDS_TO_FLUSH) -> bool:
        """Send what there is, for so long at most; say whether that was enough.

        While what was to be sent before is still under way, nothing is waited for.
        """
        if self._sending:
            return False
        return await self._in_time(self._call("force_flush"), seconds)

    async def shut_down(self, seconds: float = SECONDS_TO_FLUSH) -> bool:
        """Send what there is, for so long at most, and never anything again."""
        return await self._in_time(self._call("shutdown"), seconds)

    def _call(self, method: str) -> list[Callable[[], object]]:
        """Find what the providers have of that name: those of OpenTelemetry's API have nothing."""
        return [call for it in self._providers if (call := getattr(it, method, None)) is not None]

    async def _in_time(self, work: list[Callable[[], object]], seconds: float) -> bool:
        """Do the work, each piece in a thread that the process does not wait for.

        OpenTelemetry's own limits of time are not kept by all of its exporters.
        """
        loop = asyncio.get_running_loop()
        done = [asyncio.Event() for _ in work]
        for call, event in zip(work, done, strict=True):
            self._begin(call, partial(_tell, loop, event))
        try:
            async with asyncio.timeout(seconds):
                for event in done:
                    await event.wait()
        except TimeoutError:
            return False
        return True

    def _begin(self, call: Callable[[], object], told: Callable[[], None]) -> None:
        def send() -> None:
            # OpenTelemetry logs what fails; it is nobody else's trouble.
            with suppress(Exception):
                call()
            self._sending.discard(thread)
            told()

        thread = threading.Thread(target=send, name="prosa telemetry", daemon=True)
        self._sending.add(thread)
        thread.start()


def _tell(loop: asyncio.AbstractEventLoop, event: asyncio.Event) -> None:
    with suppress(RuntimeError):  # the loop is closed: nobody waits any more
        loop.call_soon_threadsafe(event.set)
