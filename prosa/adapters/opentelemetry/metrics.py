"""The metrics: what happens is counted here, and read when it is exported.

Sums are kept in dictionaries and observed: the SDK takes 8 µs to add to one.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from operator import attrgetter
from typing import Final

from opentelemetry.metrics import CallbackOptions, Meter, Observation

from prosa.adapters.opentelemetry import gen_ai_names as gen_ai
from prosa.adapters.opentelemetry import names
from prosa.adapters.opentelemetry.distributions import (
    Distribution,
    MakeDistribution,
    named,
    of_meter,
)
from prosa.application.ports.outbox import Backlog
from prosa.domain.identifiers import Clock
from prosa.domain.reply import TokenUsage

HTTP_BUCKETS: Final = (
    *(0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75),
    *(1.0, 2.5, 5.0, 7.5, 10.0, 25.0, 50.0),
)
"""Seconds, as the conventions advise, and on to the longest wait."""

BREAKER_VALUES: Final = {"closed": 0, "half_open": 1, "open": 2}

_CALL: Final = (gen_ai.OPERATION, gen_ai.PROVIDER, gen_ai.REQUEST_MODEL)

Values = tuple[str, ...]
CountTokens = Callable[[str, str, TokenUsage], None]
"""Counts the tokens of a call to a provider's model."""
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
            Observation(amount, named(self._attributes, values))
            for values, amount in self._sums.copy().items()
        ]


class Metrics:
    """All that is counted and measured."""

    def __init__(
        self,
        meter: Meter,
        gen_ai_metrics: gen_ai.GenAIMetrics,
        clock: Clock,
        distribution: MakeDistribution | None = None,
    ) -> None:
        """Without `distribution`, distributions are histograms of the meter."""
        self._meter = meter
        self._gen_ai = gen_ai_metrics
        self._clock = clock
        self._distribution = distribution or of_meter(meter)
        self._backlog: Backlog | None = None
        self._measure_time()
        self._count_turns()
        self._count_tokens()
        self._watch_outbox()

    def request(self, seconds: float, method: str, route: str, status: int) -> None:
        """Measure a request; `route` is empty where none fitted, `status` 0 where none was sent."""
        self._request_duration.add(seconds, method, route, status or "")

    def model_call(self, seconds: float, provider: str, model: str, error: str = "") -> None:
        """Measure a call to a model, however it ended; `error` is the class of its error."""
        self._call_duration.add(seconds, gen_ai.CHAT, provider, model, error)

    def first_chunk(self, seconds: float, provider: str, model: str) -> None:
        """Measure how long a streamed call took to begin."""
        self._time_to_first_chunk.add(seconds, gen_ai.CHAT, provider, model)

    def tokens(self, provider: str, model: str, usage: TokenUsage) -> None:
        """Count a call's tokens."""
        self._tokens(provider, model, usage)

    def turn(self, outcome: str, error: str = "") -> None:
        """Count a turn that ended; `error` is the code of its failure."""
        self._turns.add(1, outcome, error)

    def turn_took(self, seconds: float, outcome: str) -> None:
        """Measure how long a turn ran."""
        self._turn_duration.add(seconds, outcome)

    def first_text(self, seconds: float) -> None:
        """Measure how long a turn ran until there was something to read."""
        self._time_to_first_text.add(seconds)

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

    def _measure_time(self) -> None:
        request = (names.HTTP_METHOD, names.HTTP_ROUTE, names.HTTP_STATUS)
        self._request_duration = self._seconds(names.REQUEST_DURATION, HTTP_BUCKETS, *request)
        buckets = gen_ai.DURATION_BUCKETS
        self._turn_duration = self._seconds(names.TURN_DURATION, buckets, names.TURN_OUTCOME)
        self._time_to_first_text = self._seconds(names.TIME_TO_FIRST_TEXT, buckets)
        call, first = self._gen_ai.duration, self._gen_ai.time_to_first_chunk
        self._call_duration = self._seconds(call, buckets, *_CALL, names.ERROR_TYPE)
        self._time_to_first_chunk = self._seconds(first, buckets, *_CALL)

    def _count_turns(self) -> None:
        self._turns = self._sums(names.TURNS, "{turn}", names.TURN_OUTCOME, names.ERROR_TYPE)
        # From nought on, a rate sees the first one; and there is always something to collect.
        self._turns.add(0, names.COMPLETED, "")
        self._recovered = self._sums(names.RECOVERED_TURNS, "{turn}", names.RECOVERED)
        self._events = self._sums(names.EVENTS, "{event}", names.EVENT_OUTCOME)
        self._fallbacks = self._sums(
            names.FALLBACKS, "{fallback}", names.MODEL, names.FALLBACK_MODEL, names.ERROR_TYPE
        )
        self._breaker_moves = self._sums(
            names.BREAKER_MOVES, "{move}", names.MODEL, names.BREAKER_BEFORE, names.BREAKER_AFTER
        )

    def _count_tokens(self) -> None:
        measured = self._gen_ai.typed_tokens
        self._tokens = self._measuring_tokens() if measured else self._summing_tokens()

    def _measuring_tokens(self) -> CountTokens:
        name, attributes = self._gen_ai.input_tokens, (*_CALL, gen_ai.TYPE_OF_TOKENS)
        tokens = self._distribution(name, "{token}", gen_ai.TOKEN_BUCKETS, attributes)

        def count(provider: str, model: str, usage: TokenUsage) -> None:
            tokens.add(usage.input_tokens, gen_ai.CHAT, provider, model, "input")
            tokens.add(usage.output_tokens, gen_ai.CHAT, provider, model, "output")

        return count

    def _summing_tokens(self) -> CountTokens:
        attributes = (*_CALL, gen_ai.MODALITY)
        sums = [
            (self._sums(name, "{token}", *attributes), read)
            for name, read in (
                (self._gen_ai.input_tokens, attrgetter("input_tokens")),
                (self._gen_ai.output_tokens, attrgetter("output_tokens")),
                (self._gen_ai.cached_input_tokens, attrgetter("cached_input_tokens")),
            )
            if name is not None
        ]

        def count(provider: str, model: str, usage: TokenUsage) -> None:
            for summed, read in sums:
                summed.add(read(usage), gen_ai.CHAT, provider, model, "text")

        return count

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

    def _seconds(self, name: str, buckets: Sequence[float], *attributes: str) -> Distribution:
        return self._distribution(name, "s", buckets, attributes)

    def _sums(self, name: str, unit: str, *attributes: str) -> Sums:
        sums = Sums(*attributes)
        self._meter.create_observable_counter(name, [sums.observe], unit=unit)
        return sums
