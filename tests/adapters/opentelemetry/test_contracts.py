"""What is seen keeps the contracts of what is not: within a trace that is kept, and without."""

from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from functools import partial

import pytest
from opentelemetry.context import attach, detach
from opentelemetry.trace import set_span_in_context

from prosa.adapters.in_memory.attempt_store import InMemoryAttemptStore
from prosa.adapters.in_memory.conversation_reader import InMemoryConversationReader
from prosa.adapters.in_memory.delivery_ledger import InMemoryDeliveryLedger
from prosa.adapters.in_memory.event_bus import RecordingEventBus
from prosa.adapters.in_memory.guardrail import ScriptedGuardrail
from prosa.adapters.in_memory.language_model import ScriptedLanguageModel
from prosa.adapters.in_memory.outbox import InMemoryOutbox
from prosa.adapters.in_memory.reply_outlet import RecordingReplyOutlet
from prosa.adapters.in_memory.storage import InMemoryStorage
from prosa.adapters.in_memory.turn_runner import InMemoryTurnRunner
from prosa.adapters.in_memory.unit_of_work import InMemoryUnitOfWork
from prosa.adapters.opentelemetry.attempt_store import TracedAttemptStore
from prosa.adapters.opentelemetry.content import as_it_is
from prosa.adapters.opentelemetry.conversation_reader import TracedConversationReader
from prosa.adapters.opentelemetry.database_spans import DatabaseSpans
from prosa.adapters.opentelemetry.delivery_ledger import TracedDeliveryLedger
from prosa.adapters.opentelemetry.event_bus import TracedEventBus
from prosa.adapters.opentelemetry.guardrail import TracedGuardrail
from prosa.adapters.opentelemetry.language_model import (
    TracedChain,
    TracedLanguageModel,
    TracedLink,
)
from prosa.adapters.opentelemetry.outbox import MeasuredOutbox
from prosa.adapters.opentelemetry.reply_outlet import TracedReplyOutlet
from prosa.adapters.opentelemetry.turn_runner import TracedTurnRunner
from prosa.adapters.opentelemetry.unit_of_work import TracedUnitsOfWork
from prosa.adapters.sql.database import Database
from prosa.adapters.sql.unit_of_work import SqlUnitOfWork
from prosa.application.ports.attempt_store import AttemptStore
from prosa.application.ports.conversation_reader import ConversationReader
from prosa.application.ports.delivery_ledger import DeliveryLedger
from prosa.application.ports.event_bus import EventBus, EventBusError, PublishedEvent
from prosa.application.ports.guardrail import Guardrail
from prosa.application.ports.language_model import LanguageModel, ModelRequest
from prosa.application.ports.outbox import Outbox
from prosa.application.ports.reply_outlet import ReplyOutlet, ReplyOutletError
from prosa.application.ports.turn_runner import AttemptId, TurnNotStarted, TurnRunner
from prosa.application.ports.unit_of_work import UnitOfWorkFactory
from prosa.testing.attempt_store_contract import AttemptStoreContract
from prosa.testing.conversation_reader_contract import ConversationReaderContract
from prosa.testing.delivery_ledger_contract import DeliveryLedgerContract
from prosa.testing.event_bus_contract import EventBusContract
from prosa.testing.guardrail_contract import GuardrailContract
from prosa.testing.language_model_contract import LanguageModelContract
from prosa.testing.outbox_contract import OutboxContract
from prosa.testing.reply_outlet_contract import ReplyOutletContract
from prosa.testing.turn_runner_contract import TurnRunnerContract
from prosa.testing.unit_of_work_contract import UnitOfWorkContract
from tests.adapters.opentelemetry.seeing import Seen
from tests.application.service import Service


@pytest.fixture(autouse=True)
def kept_trace(seen: Seen) -> Iterator[None]:
    """Run each test within a trace that is kept, but for what runs in a context of its own."""
    span = seen.traces.get_tracer("test").start_span("test")
    token = attach(set_span_in_context(span))
    yield
    detach(token)
    span.end()


def obliging(request: ModelRequest) -> str:
    return '{"answer": "yes"}' if request.answer_format else "Hello Ana, good to see you."


class TestLanguageModel(LanguageModelContract):
    @pytest.fixture
    def model(self, seen: Seen) -> LanguageModel:
        model = ScriptedLanguageModel(default=obliging, clock=lambda: datetime.now(UTC))
        telemetry = seen.telemetry
        traced = TracedLanguageModel(model, telemetry.tracing, telemetry.metrics, as_it_is)
        return TracedChain(TracedLink(traced, telemetry.metrics))


class TestGuardrail(GuardrailContract):
    @pytest.fixture
    def guardrail(self, seen: Seen) -> Guardrail:
        guardrail = ScriptedGuardrail(
            blocks=["system"],
            redacts={"4111 1111 1111 1111": "[card ***]"},
            fails_on=["never said"],
        )
        return TracedGuardrail(guardrail, seen.telemetry.tracing)


class TestUnitOfWork(UnitOfWorkContract):
    @pytest.fixture
    def units_of_work(self, seen: Seen, sqlite: Database) -> UnitOfWorkFactory:
        make = partial(SqlUnitOfWork, sqlite)
        return TracedUnitsOfWork(make, DatabaseSpans(seen.telemetry.tracing, "sqlite"))


class InMemoryContract:
    """Has its storage in memory."""

    @pytest.fixture
    def storage(self) -> InMemoryStorage:
        return InMemoryStorage()

    @pytest.fixture
    def units_of_work(self, storage: InMemoryStorage) -> UnitOfWorkFactory:
        return partial(InMemoryUnitOfWork, storage)

    @pytest.fixture
    def spans(self, seen: Seen) -> DatabaseSpans:
        return DatabaseSpans(seen.telemetry.tracing, "memory")


class TestConversationReader(InMemoryContract, ConversationReaderContract):
    @pytest.fixture
    def reader(self, storage: InMemoryStorage, spans: DatabaseSpans) -> ConversationReader:
        return TracedConversationReader(InMemoryConversationReader(storage), spans)


class TestAttemptStore(InMemoryContract, AttemptStoreContract):
    @pytest.fixture
    def attempts(self, storage: InMemoryStorage, spans: DatabaseSpans) -> AttemptStore:
        return TracedAttemptStore(InMemoryAttemptStore(storage), spans)


class TestDeliveryLedger(InMemoryContract, DeliveryLedgerContract):
    @pytest.fixture
    def ledger(self, spans: DatabaseSpans) -> DeliveryLedger:
        return TracedDeliveryLedger(InMemoryDeliveryLedger(), spans)


class TestTurnRunner(TurnRunnerContract):
    @pytest.fixture
    async def runner(self, seen: Seen) -> TurnRunner:
        self._runner = InMemoryTurnRunner(Service().steps)
        return TracedTurnRunner(self._runner, seen.telemetry.tracing)

    @pytest.fixture
    def broken(self, seen: Seen) -> TurnRunner:
        runner = InMemoryTurnRunner(Service().steps, [TurnNotStarted("away")])
        return TracedTurnRunner(runner, seen.telemetry.tracing)

    async def started(self, runner: TurnRunner) -> list[AttemptId]:
        assert isinstance(runner, TracedTurnRunner)
        for task in self._runner.started.values():
            task.cancel()
        return list(self._runner.started)


class TestOutbox(InMemoryContract, OutboxContract):
    @pytest.fixture
    def outbox(self, seen: Seen, storage: InMemoryStorage) -> Outbox:
        return MeasuredOutbox(InMemoryOutbox(storage), seen.telemetry.metrics)


class TestEventBus(EventBusContract):
    def traced(self, bus: EventBus, seen: Seen) -> EventBus:
        self._bus = bus
        return TracedEventBus(bus, seen.telemetry.tracing, system="test", destination="bus")

    @pytest.fixture
    def event_bus(self, seen: Seen) -> EventBus:
        return self.traced(RecordingEventBus(), seen)

    @pytest.fixture
    def refusing(self, seen: Seen) -> EventBus:
        def refuses(event: PublishedEvent) -> str | None:
            return "throttled" if event.id in {"evt_3", "evt_12"} else None

        return self.traced(RecordingEventBus([refuses]), seen)

    @pytest.fixture
    def broken(self, seen: Seen) -> EventBus:
        return self.traced(RecordingEventBus([EventBusError("the bus cannot be reached")]), seen)

    async def arrived(self, event_bus: EventBus) -> Sequence[str]:
        assert isinstance(event_bus, TracedEventBus)
        assert isinstance(self._bus, RecordingEventBus)
        return [event.envelope for event in self._bus.published]


class TestReplyOutlet(ReplyOutletContract):
    @pytest.fixture
    def outlet(self, seen: Seen) -> ReplyOutlet:
        self._outlet = RecordingReplyOutlet()
        return TracedReplyOutlet(self._outlet, seen.telemetry.tracing)

    @pytest.fixture
    def broken(self, seen: Seen) -> ReplyOutlet:
        outlet = RecordingReplyOutlet([ReplyOutletError("the outlet cannot be reached")])
        return TracedReplyOutlet(outlet, seen.telemetry.tracing)

    async def arrived(self, outlet: ReplyOutlet) -> Sequence[tuple[str, str]]:
        assert isinstance(outlet, TracedReplyOutlet)
        return [(reply.id, reply.text) for reply in self._outlet.sent]
