"""The metrics: what happens is counted here, and read when it is exported.

The SDK takes 7 µs for a measurement, and three times that where its code has to come from memory
first, as within a turn. So sums are kept in dictionaries and observed, and only what needs a
distribution is measured one by one: later, many together.
"""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from datetime import datetime
from functools import cache
from typing import Final

from opentelemetry.metrics import CallbackOptions, Histogram, Meter, Observation
from opentelemetry.util.types import Attributes

from prosa.adapters.opentelemetry import gen_ai_names as gen_ai
from prosa.adapters.opentelemetry import names
from prosa.application.ports.outbox import Backlog
from prosa.domain.identifiers import Clock
from prosa.domain.reply import TokenUsage

HTTP_BUCKETS: Final = (
    *(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75),
    *(1.0, 2.5, 5.0, 7.5, 10.0, 25.0, 50.0),
)
"""Seconds, as the conventions advise, and on to the longest wait."""

AT_ONCE: Final = 200
"""Measurements that are handed over together: in a millisecond or so."""

BREAKER_VALUES: Final = {"closed": 0, "half_open": 1, "open": 2}

_CALL: Final = (gen_ai.OPERATION, gen_ai.PROVIDER, gen_ai.REQUEST_MODEL)

Values = tuple[str, ...]
CountTokens = Callable[[int, str, str], None]
"""Counts tokens of a provider's model."""
ReadBreakers = Callable[[], Iterable[tuple[str, str]]]
"""Tells each model's name and its breaker's state."""


class Sums:
    """Sums by the values of some attributes."""

    def __init__(self, *attributes: str) -> None:
        self._attributes = attributes
        self._sums: Counter[Values] = Counter()

    def add(self, amount: int, *values: str) -> None:
        """Add to the sum of these values."""
        self._sums[values] += amount

    def observe(self, _options: CallbackOptions) -> Sequence[Observation]:
        """Tell all sums; an empty value is none. Called from the exporter's thread."""
        return [
            Observation(amount, {name: value for name, value in self._named(values) if value})
            for values, amount in self._sums.copy().items()
        ]

    def _named(self, values: Values) -> Iterable[tuple[str, str]]:
        return zip(self._attributes, values, strict=True)


class Metrics:
    """All that is counted and measured."""

    def __init__(self, meter: Meter, gen_ai_metrics: gen_ai.GenAIMetrics, clock: Clock) -> None:
        self._meter = meter
        self._gen_ai = gen_ai_metrics
        self._clock = clock
        self._backlog: Backlog | None = None
        self._measured = 0
        self._waiting: deque[tuple[Histogram, float, Attributes]] = deque()
        meter.create_observable_counter(names.MEASUREMENTS, [self._take_in])
        self._measure_time()
        self._count_turns()
        self._count_tokens()
        self._watch_outbox()

    def request(self, seconds: float, attributes: Attributes) -> None:
        """Measure an answered request."""
        self._measure(self._request_duration, seconds, attributes)

    def model_call(self, seconds: float, attributes: Attributes) -> None:
        """Measure a call to a model, however it ended."""
        self._measure(self._call_duration, seconds, attributes)

    def first_chunk(self, seconds: float, attributes: Attributes) -> None:
        """Measure how long a streamed call took to begin."""
        self._measure(self._time_to_first_chunk, seconds, attributes)

    def tokens(self, provider: str, model: str, usage: TokenUsage) -> None:
        """Count a call's tokens."""
        spent = {
            "input": usage.input_tokens,
            "output": usage.output_tokens,
            "cached_input": usage.cached_input_tokens,
        }
        for kind, count in self._tokens.items():
            count(spent[kind], provider, model)

    def turn(self, outcome: str, error: str = "") -> None:
        """Count a turn that ended; `error` is the code of its failure."""
        self._turns.add(1, outcome, error)

    def turn_took(self, seconds: float, outcome: str) -> None:
        """Measure how long a turn ran."""
        self._measure(self._turn_duration, seconds, {names.TURN_OUTCOME: outcome})

    def first_text(self, seconds: float) -> None:
        """Measure how long a turn ran until there was something to read."""
        self._measure(self._time_to_first_text, seconds, None)

    def fallback(self, model: str, to: str, error: str) -> None:
        """Count that another model was asked."""
        self._fallbacks.add(1, model, to, error)

    def breaker_moved(self, model: str, before: str, after: str) -> None:
        """Count a breaker's move."""
        self._breaker_moves.add(1, model, before, after)

    def recovered(self, *, run_again: int, failed: int) -> None:
        """Count crashed turns that were seen to."""
        self._recovered.add(run_again, "run_again")
        self._recovered.add(failed, "failed")

    def relayed(self, *, published: int, put_off: int, parked: int) -> None:
        """Count what became of events."""
        for outcome, count in (("published", published), ("put_off", put_off), ("parked", parked)):
            if count:
                self._events.add(count, outcome)

    def backlog(self, backlog: Backlog) -> None:
        """Remember what waits in the outbox."""
        self._backlog = backlog

    def watch_breakers(self, read: ReadBreakers) -> None:
        """Tell each breaker's state from now on."""

        def observe(_options: CallbackOptions) -> Sequence[Observation]:
            return [
                Observation(BREAKER_VALUES[state], {names.MODEL: model}) for model, state in read()
            ]

        self._meter.create_observable_gauge(names.BREAKER_STATE, [observe])

    def _measure(self, histogram: Histogram, value: float, attributes: Attributes) -> None:
        self._waiting.append((histogram, value, attributes))
        if len(self._waiting) >= AT_ONCE:
            self._record_waiting()

    def _record_waiting(self) -> None:
        """Hand over what was measured; the exporter's thread may do the same meanwhile."""
        with suppress(IndexError):
            while True:
                histogram, value, attributes = self._waiting.popleft()
                histogram.record(value, attributes)
                self._measured += 1

    def _take_in(self, _options: CallbackOptions) -> Sequence[Observation]:
        """Be asked before any distribution is read."""
        self._record_waiting()
        return [Observation(self._measured)]

    def _measure_time(self) -> None:
        self._request_duration = self._seconds(names.REQUEST_DURATION, HTTP_BUCKETS)
        self._turn_duration = self._seconds(names.TURN_DURATION, gen_ai.DURATION_BUCKETS)
        self._time_to_first_text = self._seconds(names.TIME_TO_FIRST_TEXT, gen_ai.DURATION_BUCKETS)
        self._call_duration = self._seconds(self._gen_ai.duration, gen_ai.DURATION_BUCKETS)
        self._time_to_first_chunk = self._seconds(
            self._gen_ai.time_to_first_chunk, gen_ai.DURATION_BUCKETS
        )

    def _count_turns(self) -> None:
        self._turns = self._sums(names.TURNS, "{turn}", names.TURN_OUTCOME, names.ERROR_TYPE)
        self._recovered = self._sums(names.RECOVERED_TURNS, "{turn}", names.RECOVERED)
        self._events = self._sums(names.EVENTS, "{event}", names.EVENT_OUTCOME)
        self._fallbacks = self._sums(
            names.FALLBACKS, "{fallback}", names.MODEL, names.FALLBACK_MODEL, names.ERROR_TYPE
        )
        self._breaker_moves = self._sums(
            names.BREAKER_MOVES, "{move}", names.MODEL, names.BREAKER_BEFORE, names.BREAKER_AFTER
        )

    def _count_tokens(self) -> None:
        metrics = self._gen_ai
        if metrics.typed_tokens:
            self._tokens = self._measured_tokens(metrics.input_tokens)
            return
        self._tokens = {
            "input": self._counted_tokens(metrics.input_tokens),
            "output": self._counted_tokens(metrics.output_tokens),
        }
        if metrics.cached_input_tokens is not None:
            self._tokens["cached_input"] = self._counted_tokens(metrics.cached_input_tokens)

    def _counted_tokens(self, name: str) -> CountTokens:
        sums = self._sums(name, "{token}", *_CALL, gen_ai.MODALITY)

        def count(tokens: int, provider: str, model: str) -> None:
            sums.add(tokens, gen_ai.CHAT, provider, model, "text")

        return count

    def _measured_tokens(self, name: str) -> dict[str, CountTokens]:
        histogram = self._meter.create_histogram(
            name, unit="{token}", explicit_bucket_boundaries_advisory=gen_ai.TOKEN_BUCKETS
        )

        def measure_as(kind: str) -> CountTokens:
            @cache
            def attributes(provider: str, model: str) -> Attributes:
                call = zip(_CALL, (gen_ai.CHAT, provider, model), strict=True)
                return {**dict(call), gen_ai.TYPE_OF_TOKENS: kind}

            def measure(tokens: int, provider: str, model: str) -> None:
                self._measure(histogram, tokens, attributes(provider, model))

            return measure

        return {kind: measure_as(kind) for kind in ("input", "output")}

    def _watch_outbox(self) -> None:
        def gauge(name: str, unit: str, read: Callable[[Backlog], float]) -> None:
            def observe(_options: CallbackOptions) -> Sequence[Observation]:
                known = self._backlog
                return [] if known is None else [Observation(read(known))]

            self._meter.create_observable_gauge(name, [observe], unit=unit)

        gauge(names.OUTBOX_WAITING, "{event}", lambda backlog: backlog.waiting)
        gauge(names.OUTBOX_PARKED, "{event}", lambda backlog: backlog.parked)
        gauge(names.OUTBOX_OLDEST, "s", lambda backlog: self._age(backlog.oldest))

    def _age(self, oldest: datetime | None) -> float:
        """How long the oldest event waits by now: it goes on ageing where nobody looks any more."""
        return (self._clock() - oldest).total_seconds() if oldest else 0.0

    def _seconds(self, name: str, buckets: Sequence[float]) -> Histogram:
        return self._meter.create_histogram(
            name, unit="s", explicit_bucket_boundaries_advisory=buckets
        )

    def _sums(self, name: str, unit: str, *attributes: str) -> Sums:
        sums = Sums(*attributes)
        self._meter.create_observable_counter(name, [sums.observe], unit=unit)
        return sums
