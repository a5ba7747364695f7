"""Puts telemetry around the parts of an application: the only module that knows which has it.

Without it, no part has anything around it, and nothing of OpenTelemetry is loaded.
"""

# ruff: noqa: PLC0415 - OpenTelemetry, and what a part is made of, is imported where it is wanted

import os
import re
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, asynccontextmanager
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, ParamSpec, cast

from prosa.application.ports.event_bus import EventBus
from prosa.application.ports.guardrail import Guardrail
from prosa.application.ports.language_model import LanguageModel
from prosa.application.ports.outbox import Outbox
from prosa.application.ports.reply_outlet import ReplyOutlet
from prosa.application.ports.unit_of_work import UnitOfWorkFactory
from prosa.bootstrap.packages import required_packages
from prosa.domain.errors import ConfigurationError
from prosa.settings import Settings

if TYPE_CHECKING:
    from prosa.adapters.opentelemetry.database_spans import DatabaseSpans
    from prosa.adapters.opentelemetry.telemetry import Telemetry
    from prosa.adapters.opentelemetry.tree import Show
    from prosa.adapters.resilience.circuit_breaker import BreakerMoved, CircuitBreaker, OnMove
    from prosa.application.accept_turn import AcceptTurn
    from prosa.application.ports.attempt_store import AttemptStore
    from prosa.application.ports.conversation_reader import ConversationReader
    from prosa.application.ports.delivery_ledger import DeliveryLedger
    from prosa.application.ports.turn_runner import TurnRunner
    from prosa.application.recover_turns import RecoverTurns
    from prosa.application.take_turn import TakeTurn

P = ParamSpec("P")

TRACES = "TRACES"
METRICS = "METRICS"
PROTOCOL = "http/protobuf"
SAMPLERS = (
    "always_on",
    "always_off",
    "traceidratio",
    "parentbased_always_on",
    "parentbased_always_off",
    "parentbased_traceidratio",
)
"""What OTEL_TRACES_SAMPLER may name: in the place of any other, the SDK keeps every trace."""

_NAMED_BUSES = {"log": "log", "eventbridge": "aws.eventbridge"}


class Around:
    """What is around each part: here, nothing but the name of the turn in the log."""

    telemetry: "Telemetry | None" = None

    def language_model(self, model: LanguageModel) -> LanguageModel:
        """Put it around a bare model."""
        return model

    def link(self, model: LanguageModel) -> LanguageModel:
        """Put it around a model of a chain, with its retry and breaker."""
        return model

    def chain(self, model: LanguageModel) -> LanguageModel:
        """Put it around a whole chain."""
        return model

    def on_move(self, on_move: "OnMove") -> "OnMove":
        """Hear of breakers' moves, too."""
        return on_move

    def breakers(self, breakers: "Sequence[CircuitBreaker]") -> None:
        """Watch breakers."""

    def guardrail(self, guardrail: Guardrail) -> Guardrail:
        """Put it around a guardrail."""
        return guardrail

    def units_of_work(self, make: UnitOfWorkFactory) -> UnitOfWorkFactory:
        """Put it around units of work."""
        return make

    def outbox(self, outbox: Outbox) -> Outbox:
        """Put it around an outbox."""
        return outbox

    def event_bus(self, bus: EventBus) -> EventBus:
        """Put it around an event bus."""
        return bus

    def reply_outlet(self, outlet: ReplyOutlet | None) -> ReplyOutlet | None:
        """Put it around a reply outlet, where there is one."""
        return outlet

    def turn_runner(self, runner: "TurnRunner | None") -> "TurnRunner | None":
        """Put it around a turn runner, where there is one."""
        return runner

    def conversation_reader(self, reader: "ConversationReader") -> "ConversationReader":
        """Put it around a conversation reader."""
        return reader

    def attempt_store(self, attempts: "AttemptStore") -> "AttemptStore":
        """Put it around an attempt store."""
        return attempts

    def delivery_ledger(self, ledger: "DeliveryLedger") -> "DeliveryLedger":
        """Put it around a delivery ledger."""
        return ledger

    def accept_turn(self, make: "Callable[P, AcceptTurn]") -> "Callable[P, AcceptTurn]":
        """Make AcceptTurn so that it can be seen."""
        return make

    def take_turn(self, _make: "Callable[P, TakeTurn]") -> "Callable[P, TakeTurn]":
        """Make TakeTurn so that it can be seen."""
        from prosa.adapters.log.take_turn import NamedTakeTurn

        return cast("Callable[P, TakeTurn]", NamedTakeTurn)

    def recover_turns(self, make: "Callable[P, RecoverTurns]") -> "Callable[P, RecoverTurns]":
        """Make RecoverTurns so that it can be seen."""
        return make


class TelemetryAround(Around):
    """Wrappers that make spans, and count."""

    def __init__(self, telemetry: "Telemetry", settings: Settings) -> None:
        self.telemetry = telemetry
        self._content = telemetry.content
        self._tracing = telemetry.tracing
        self._metrics = telemetry.metrics
        self._settings = settings

    def language_model(self, model: LanguageModel) -> LanguageModel:
        """Give each call a span."""
        from prosa.adapters.opentelemetry.content import Content, as_it_is, redacting
        from prosa.adapters.opentelemetry.language_model import TracedLanguageModel
        from prosa.bootstrap.texts import load_guardrail

        redact = None
        if self._content is not Content.NONE:
            full = self._content is Content.FULL
            redact = as_it_is if full else redacting(load_guardrail())
        return TracedLanguageModel(model, self._tracing, self._metrics, redact)

    def link(self, model: LanguageModel) -> LanguageModel:
        """Tell where it is asked in another's place."""
        from prosa.adapters.opentelemetry.language_model import TracedLink

        return TracedLink(model, self._metrics)

    def chain(self, model: LanguageModel) -> LanguageModel:
        """Take notes of each request."""
        from prosa.adapters.opentelemetry.language_model import TracedChain

        return TracedChain(model)

    def on_move(self, on_move: "OnMove") -> "OnMove":
        """Count moves."""
        from prosa.adapters.opentelemetry.language_model import tell_breaker_moved

        def tell(moved: "BreakerMoved") -> None:
            tell_breaker_moved(self._metrics, moved.model, moved.before, moved.after)
            on_move(moved)

        return tell

    def breakers(self, breakers: "Sequence[CircuitBreaker]") -> None:
        """Tell the state of each, whenever it is asked for."""

        def read() -> list[tuple[str, str]]:
            views = (breaker.view() for breaker in breakers)
            return [(view.model, view.state.value) for view in views]

        self._metrics.watch_breakers(read)

    def guardrail(self, guardrail: Guardrail) -> Guardrail:
        """Give each passage a span."""
        from prosa.adapters.opentelemetry.guardrail import TracedGuardrail

        return TracedGuardrail(guardrail, self._tracing)

    def units_of_work(self, make: UnitOfWorkFactory) -> UnitOfWorkFactory:
        """Give each round trip a span."""
        from prosa.adapters.opentelemetry.unit_of_work import TracedUnitsOfWork

        return TracedUnitsOfWork(make, self._database_spans())

    def outbox(self, outbox: Outbox) -> Outbox:
        """Count what waits."""
        from prosa.adapters.opentelemetry.outbox import MeasuredOutbox

        return MeasuredOutbox(outbox, self._metrics)

    def event_bus(self, bus: EventBus) -> EventBus:
        """Give each event a span."""
        from prosa.adapters.opentelemetry.event_bus import TracedEventBus

        kind, _, name = self._settings.event_bus.partition(":")
        return TracedEventBus(
            bus, self._tracing, system=_NAMED_BUSES[kind], destination=name or "default"
        )

    def reply_outlet(self, outlet: ReplyOutlet | None) -> ReplyOutlet | None:
        """Give each reply a span."""
        from prosa.adapters.opentelemetry.reply_outlet import TracedReplyOutlet

        return outlet and TracedReplyOutlet(outlet, self._tracing)

    def turn_runner(self, runner: "TurnRunner | None") -> "TurnRunner | None":
        """Have what runs elsewhere go on with the trace."""
        from prosa.adapters.opentelemetry.turn_runner import TracedTurnRunner

        return runner and TracedTurnRunner(runner, self._tracing)

    def conversation_reader(self, reader: "ConversationReader") -> "ConversationReader":
        """Give each read a span."""
        from prosa.adapters.opentelemetry.conversation_reader import TracedConversationReader

        return TracedConversationReader(reader, self._database_spans())

    def attempt_store(self, attempts: "AttemptStore") -> "AttemptStore":
        """Give what is loaded and saved a span."""
        from prosa.adapters.opentelemetry.attempt_store import TracedAttemptStore

        return TracedAttemptStore(attempts, self._database_spans())

    def delivery_ledger(self, ledger: "DeliveryLedger") -> "DeliveryLedger":
        """Give what is found and added a span."""
        from prosa.adapters.opentelemetry.delivery_ledger import TracedDeliveryLedger

        return TracedDeliveryLedger(ledger, self._database_spans())

    def _database_spans(self) -> "DatabaseSpans":
        from prosa.adapters.opentelemetry.database_spans import DatabaseSpans

        return DatabaseSpans(
            self._tracing, "sqlite" if self._settings.uses_sqlite else "postgresql"
        )

    def accept_turn(self, _make: "Callable[P, AcceptTurn]") -> "Callable[P, AcceptTurn]":
        """Give the step a span."""
        from prosa.adapters.opentelemetry.take_turn import TracedAcceptTurn

        made = partial(TracedAcceptTurn, self._tracing, self._metrics)
        return cast("Callable[P, AcceptTurn]", made)

    def take_turn(self, _make: "Callable[P, TakeTurn]") -> "Callable[P, TakeTurn]":
        """Give each step a span."""
        from prosa.adapters.opentelemetry.take_turn import TracedTakeTurn

        made = partial(TracedTakeTurn, self._tracing, self._metrics)
        return cast("Callable[P, TakeTurn]", made)

    def recover_turns(self, _make: "Callable[P, RecoverTurns]") -> "Callable[P, RecoverTurns]":
        """Count them."""
        from prosa.adapters.opentelemetry.take_turn import CountedRecoverTurns

        return cast("Callable[P, RecoverTurns]", partial(CountedRecoverTurns, self._metrics))


@asynccontextmanager
async def open_telemetry(
    settings: Settings, telemetry: "Telemetry | None" = None
) -> AsyncIterator[Around]:
    """Open what OTEL_… variables ask for, or put `telemetry`, which stays open, around the parts.

    At the end, what is left is sent, for two seconds at most. Raises ConfigurationError.
    """
    if telemetry is not None:
        yield TelemetryAround(telemetry, settings)
        return
    if not _destinations():
        yield Around()
        return
    opened = make_telemetry(settings)
    try:
        yield TelemetryAround(opened, settings)
    finally:
        await opened.shut_down()


def make_telemetry(settings: Settings, show: "Show | None" = None) -> "Telemetry":
    """Make telemetry as OTEL_… variables ask for, which may be none; it is not closed by anybody.

    `show` is given each trace, written as a tree; every trace is kept then. Raises
    ConfigurationError.
    """
    with _packages():
        from prosa.adapters.opentelemetry.content import Content
        from prosa.adapters.opentelemetry.setup import telemetry_by_environment
        from prosa.adapters.opentelemetry.tree import ShownTraces

    destinations = _destinations()
    return telemetry_by_environment(
        environment_name=settings.environment,
        traces=TRACES in destinations,
        metrics=METRICS in destinations,
        content=Content(settings.telemetry_content),
        watchers=[ShownTraces(show)] if show else [],
    )


def check_telemetry() -> Mapping[str, str]:
    """Say where each signal goes, by its name; nothing where telemetry is off.

    Nothing is sent. Raises ConfigurationError.
    """
    destinations = _destinations()
    if destinations:
        with _packages():
            import_module("prosa.adapters.opentelemetry.setup")
            import_module("opentelemetry.exporter.otlp.proto.http")
    return {signal.lower(): address for signal, address in destinations.items()}


def _packages() -> AbstractContextManager[None]:
    return required_packages("telemetry goes by OpenTelemetry", extra="otel")


def _destinations() -> Mapping[str, str]:
    """Read where each signal that is wanted is to be sent. Raises ConfigurationError."""
    found = {signal: _destination(signal, os.environ) for signal in (TRACES, METRICS)}
    return {signal: address for signal, address in found.items() if address}


def _destination(signal: str, environment: Mapping[str, str]) -> str | None:
    """Read where a signal is to be sent: an endpoint is named, and nothing says otherwise.

    Source: https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
    Raises ConfigurationError.
    """
    exporter = environment.get(f"OTEL_{signal}_EXPORTER") or "otlp"
    if exporter not in {"otlp", "none"}:
        raise ConfigurationError(
            f"OTEL_{signal}_EXPORTER is {exporter!r}; Prosa has otlp, and none for silence"
        )
    off = exporter == "none" or environment.get("OTEL_SDK_DISABLED", "").lower() == "true"
    endpoint = _told(signal, "ENDPOINT", environment)
    if off or not endpoint:
        return None
    if (protocol := _told(signal, "PROTOCOL", environment) or PROTOCOL) != PROTOCOL:
        raise ConfigurationError(
            f"OTEL_EXPORTER_OTLP_PROTOCOL is {protocol!r}; Prosa speaks {PROTOCOL}"
        )
    if not re.match(r"https?://[^/\s]", endpoint):
        # Not quoted: it may hold a password.
        raise ConfigurationError(
            f"the endpoint of OpenTelemetry's {signal.lower()} is no address of a server; write "
            "OTEL_EXPORTER_OTLP_ENDPOINT as in http://127.0.0.1:4318"
        )
    sampler = environment.get("OTEL_TRACES_SAMPLER")
    if signal == TRACES and sampler and sampler.lower() not in SAMPLERS:
        raise ConfigurationError(
            f"OTEL_TRACES_SAMPLER is {sampler!r}; allowed are {', '.join(SAMPLERS)}"
        )
    return endpoint


def _told(signal: str, what: str, environment: Mapping[str, str]) -> str | None:
    """Read what is told for a signal, or else for all of them."""
    its_own = environment.get(f"OTEL_EXPORTER_OTLP_{signal}_{what}")
    return its_own or environment.get(f"OTEL_EXPORTER_OTLP_{what}")
