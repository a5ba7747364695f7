"""A broken copy of each kind of adapter: what its author got wrong, and the clause that says so.

pytest does not collect this file by itself; test_contracts_notice.py runs it.
"""

import contextlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial
from types import TracebackType

import pytest

from prosa import (
    Attempt,
    AttemptId,
    AttemptStore,
    Authenticator,
    Blocked,
    Caller,
    Classification,
    ClassificationRequest,
    ConversationId,
    ConversationReader,
    Delivery,
    DeliveryLedger,
    EventBus,
    ExpiredTurn,
    ExpiredTurns,
    Guardrail,
    Intent,
    IntentCatalog,
    IntentClassifier,
    LanguageModel,
    Message,
    MessageId,
    MessageQueue,
    ModelRequest,
    OnText,
    Outbox,
    OutboxEntry,
    OutgoingReply,
    Page,
    Passage,
    PromptCatalog,
    PromptTemplate,
    PublishedEvent,
    ReceivedMessage,
    RefusedEvent,
    Reply,
    ReplyOutlet,
    ReplyOutletError,
    SecretStore,
    TenantId,
    TurnRunner,
    UnitOfWorkFactory,
    Verdict,
)
from prosa.adapters.in_memory.attempt_store import InMemoryAttemptStore
from prosa.adapters.in_memory.authenticator import InMemoryAuthenticator
from prosa.adapters.in_memory.conversation_reader import InMemoryConversationReader
from prosa.adapters.in_memory.delivery_ledger import InMemoryDeliveryLedger
from prosa.adapters.in_memory.expired_turns import InMemoryExpiredTurns
from prosa.adapters.in_memory.message_queue import InMemoryMessageQueue
from prosa.adapters.in_memory.outbox import InMemoryOutbox
from prosa.adapters.in_memory.prompt_catalog import InMemoryPromptCatalog
from prosa.adapters.in_memory.secret_store import InMemorySecretStore
from prosa.adapters.in_memory.storage import InMemoryStorage
from prosa.adapters.in_memory.unit_of_work import (
    InMemoryConversationRepository,
    InMemoryRequestLog,
    InMemoryUnitOfWork,
)
from prosa.testing import (
    AttemptStoreContract,
    AuthenticatorContract,
    ConversationReaderContract,
    DeliveryLedgerContract,
    EventBusContract,
    ExpiredTurnsContract,
    GuardrailContract,
    IntentClassifierContract,
    LanguageModelContract,
    MessageQueueContract,
    OutboxContract,
    PromptCatalogContract,
    RecordingEventBus,
    RecordingReplyOutlet,
    ReplyOutletContract,
    ScriptedGuardrail,
    ScriptedIntentClassifier,
    ScriptedLanguageModel,
    SecretStoreContract,
    TurnRunnerContract,
    UnitOfWorkContract,
    VirtualClock,
)
from prosa.testing.secret_store_contract import FIRST, SECOND

ANA = Caller(tenant_id=TenantId("acme"), name="ana", customer_id="ana")


class OnOneStorage:
    """The fixtures of contracts whose port reads what units of work have written."""

    @pytest.fixture
    def storage(self) -> InMemoryStorage:
        return InMemoryStorage()

    @pytest.fixture
    def units_of_work(self, storage: InMemoryStorage) -> UnitOfWorkFactory:
        return partial(InMemoryUnitOfWork, storage)


class ForgetfulAttemptStore(InMemoryAttemptStore):
    """Keeps what was found, and not what it cost."""

    async def save(self, attempt: Attempt) -> None:
        await super().save(replace(attempt, calls=()))


class TestAttemptStore(OnOneStorage, AttemptStoreContract):
    notices = "test_what_the_steps_found_comes_back"

    @pytest.fixture
    def attempts(self, storage: InMemoryStorage) -> AttemptStore:
        return ForgetfulAttemptStore(storage)


class CredulousAuthenticator(InMemoryAuthenticator):
    """Compares the beginnings of tokens."""

    async def caller_of(self, token: str | None) -> Caller:
        return await super().caller_of(token and token[:5])


class TestAuthenticator(AuthenticatorContract):
    notices = "test_a_token_that_differs_by_a_letter_is_refused"

    @pytest.fixture
    def token(self) -> str:
        return "ana's token"

    @pytest.fixture
    def caller(self) -> Caller:
        return ANA

    @pytest.fixture
    def authenticator(self, token: str) -> Authenticator:
        return CredulousAuthenticator({token[:5]: ANA})


class StutteringReader(InMemoryConversationReader):
    """Begins each page of messages with the last one of the page before."""

    async def list_messages(
        self,
        tenant_id: TenantId,
        conversation_id: ConversationId,
        *,
        limit: int,
        after: MessageId | None,
        ascending: bool,
    ) -> Page[Message]:
        page = await super().list_messages(
            tenant_id, conversation_id, limit=100, after=None, ascending=ascending
        )
        ids = [message.id for message in page.items]
        start = ids.index(after) if after in ids else 0
        items = page.items[start : start + limit]
        return Page(items=items, has_more=start + limit < len(ids))


class TestConversationReader(OnOneStorage, ConversationReaderContract):
    notices = "test_pages_of_messages_follow_each_other_without_gaps"

    @pytest.fixture
    def reader(self, storage: InMemoryStorage) -> ConversationReader:
        return StutteringReader(storage)


class OverwritingLedger(InMemoryDeliveryLedger):
    """Keeps the last delivery, not the first."""

    async def add(self, delivery: Delivery) -> None:
        self._deliveries[delivery.tenant_id, delivery.reply_id] = delivery


class TestDeliveryLedger(DeliveryLedgerContract):
    notices = "test_the_first_delivery_of_a_reply_stays"

    @pytest.fixture
    def ledger(self) -> DeliveryLedger:
        return OverwritingLedger()


class ImpatientEventBus(RecordingEventBus):
    """Hands over the first ten, and says nothing of the others."""

    async def publish(self, events: Sequence[PublishedEvent]) -> tuple[RefusedEvent, ...]:
        return await super().publish(events[:10])


class TestEventBus(EventBusContract):
    notices = "test_every_event_arrives_to_the_letter"

    @pytest.fixture
    def event_bus(self) -> EventBus:
        return ImpatientEventBus()

    async def arrived(self, event_bus: EventBus) -> Sequence[str]:
        assert isinstance(event_bus, RecordingEventBus)
        return [event.envelope for event in event_bus.published]


class HastyExpiredTurns(InMemoryExpiredTurns):
    """Takes turns away before their lease has run out."""

    async def find(self, *, now: datetime, limit: int) -> tuple[ExpiredTurn, ...]:
        return await super().find(now=now + timedelta(seconds=5), limit=limit)


class TestExpiredTurns(OnOneStorage, ExpiredTurnsContract):
    notices = "test_a_turn_is_found_from_the_end_of_its_lease_on"

    @pytest.fixture
    def expired_turns(self, storage: InMemoryStorage) -> ExpiredTurns:
        return HastyExpiredTurns(storage)


class TalkativeGuardrail(ScriptedGuardrail):
    """Says what it blocked, to whoever reads the log."""

    async def screen(self, passage: Passage) -> Verdict:
        verdict = await super().screen(passage)
        return Blocked(reason=passage.text[:20]) if isinstance(verdict, Blocked) else verdict


class TestGuardrail(GuardrailContract):
    notices = "test_a_block_names_its_rule_and_quotes_nothing"

    @pytest.fixture
    def guardrail(self) -> Guardrail:
        return TalkativeGuardrail(blocks=["system"], redacts={"4111 1111 1111 1111": "[card ***]"})


class CocksureClassifier(ScriptedIntentClassifier):
    """Is sure of what it does not know."""

    async def classify(self, request: ClassificationRequest) -> Classification:
        known = await super().classify(request)
        return replace(known, intent=replace(known.intent, confidence=0.9))


class TestIntentClassifier(IntentClassifierContract):
    notices = "test_what_it_cannot_tell_is_the_fallback_without_confidence"

    @pytest.fixture
    def classifier(self, catalog: IntentCatalog) -> IntentClassifier:
        text, name = self.clear
        return CocksureClassifier(catalog, {text: Intent(name=name, confidence=0.9)})


class DeafLanguageModel(ScriptedLanguageModel):
    """Goes on, whatever becomes of its listener."""

    async def generate(self, request: ModelRequest, on_text: OnText | None = None) -> Reply:
        async def tell(text: str) -> None:
            with contextlib.suppress(Exception):
                await on_text(text) if on_text else None

        return await super().generate(request, tell)


class TestLanguageModel(LanguageModelContract):
    notices = "test_an_error_of_the_listener_stays_what_it_is"

    @pytest.fixture
    def model(self) -> LanguageModel:
        def obliging(request: ModelRequest) -> str:
            return '{"answer": "yes"}' if request.answer_format else "Hello Ana, good to see you."

        return DeafLanguageModel(default=obliging)


class DisorderlyQueue(InMemoryMessageQueue):
    """Takes each message for a group of its own."""

    async def receive(self, *, limit: int = 10) -> Sequence[ReceivedMessage]:
        busy = [entry for entry in self._entries if entry.due_at > self._clock()]
        self._entries = [entry for entry in self._entries if entry not in busy]
        lent = await super().receive(limit=limit)
        self._entries += busy
        return lent


class TestMessageQueue(MessageQueueContract):
    notices = "test_while_a_message_is_on_loan_its_group_waits"

    @pytest.fixture
    def queue(self) -> MessageQueue:
        return DisorderlyQueue(clock=VirtualClock())


class GenerousOutbox(InMemoryOutbox):
    """Lends for no time at all."""

    async def take(self, *, limit: int, now: datetime, until: datetime) -> tuple[OutboxEntry, ...]:
        del until
        return await super().take(limit=limit, now=now, until=now)


class TestOutbox(OnOneStorage, OutboxContract):
    notices = "test_of_relays_that_take_at_once_each_gets_others"

    @pytest.fixture
    def outbox(self, storage: InMemoryStorage) -> Outbox:
        return GenerousOutbox(storage)


class LenientCatalog(InMemoryPromptCatalog):
    """Guesses which prompt is meant."""

    async def get(self, tenant_id: TenantId, name: str) -> PromptTemplate:
        return await super().get(tenant_id, name.strip().lower())


class TestPromptCatalog(PromptCatalogContract):
    notices = "test_any_other_name_is_not_found[GREET ]"

    @pytest.fixture
    def catalog(self) -> PromptCatalog:
        return LenientCatalog([self.prompt])


class TalkativeOutlet(RecordingReplyOutlet):
    """Quotes the reply that it could not send."""

    async def send(self, reply: OutgoingReply) -> None:
        try:
            await super().send(reply)
        except ReplyOutletError as error:
            raise ReplyOutletError(f"could not send: {reply.text}") from error


class TestReplyOutlet(ReplyOutletContract):
    notices = "test_an_outlet_that_cannot_be_reached_is_an_error"

    @pytest.fixture
    def outlet(self) -> ReplyOutlet:
        return TalkativeOutlet()

    @pytest.fixture
    def broken(self) -> ReplyOutlet:
        return TalkativeOutlet([ReplyOutletError("away")])

    async def arrived(self, outlet: ReplyOutlet) -> Sequence[tuple[str, str]]:
        assert isinstance(outlet, RecordingReplyOutlet)
        return [(reply.id, reply.text) for reply in outlet.sent]


class FaithfulStore(InMemorySecretStore):
    """Reads each secret once, and believes it for ever."""

    async def get(self, reference: str) -> str:
        if reference not in self.asked:
            self._first = await super().get(reference)
        return self._first


class TestSecretStore(SecretStoreContract):
    notices = "test_a_secret_that_was_rotated_is_seen"

    @pytest.fixture
    def secrets(self) -> SecretStore:
        return FaithfulStore({self.reference: FIRST})

    async def rotate(self, secrets: SecretStore) -> None:
        assert isinstance(secrets, FaithfulStore)
        secrets.secrets[self.reference] = SECOND


class ForgetfulRunner(TurnRunner):
    """Starts an attempt as often as it is told to."""

    def __init__(self) -> None:
        self.started: list[AttemptId] = []

    async def start(self, attempt: AttemptId) -> None:
        self.started.append(attempt)

    async def check(self) -> None:
        pass


class TestTurnRunner(TurnRunnerContract):
    notices = "test_an_attempt_that_is_started_again_runs_once"

    @pytest.fixture
    def runner(self) -> TurnRunner:
        return ForgetfulRunner()

    @pytest.fixture
    def broken(self) -> TurnRunner:
        return ForgetfulRunner()

    async def started(self, runner: TurnRunner) -> list[AttemptId]:
        assert isinstance(runner, ForgetfulRunner)
        return runner.started


class EagerUnitOfWork(InMemoryUnitOfWork):
    """Commits when it is left, whatever happened."""

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.commit()


class TestUnitOfWork(UnitOfWorkContract):
    notices = "test_leaving_without_commit_writes_nothing"

    @pytest.fixture
    def units_of_work(self) -> UnitOfWorkFactory:
        return partial(EagerUnitOfWork, InMemoryStorage())


class LastSaveWins(InMemoryConversationRepository):
    """Compares no versions."""

    def check(self) -> None:
        pass


class TestConversationRepository(UnitOfWorkContract):
    notices = "test_who_saves_a_version_that_is_gone_writes_nothing"

    @pytest.fixture
    def units_of_work(self) -> UnitOfWorkFactory:
        storage = InMemoryStorage()

        def make(tenant_id: TenantId) -> InMemoryUnitOfWork:
            work = InMemoryUnitOfWork(storage, tenant_id)
            work._conversations = LastSaveWins(storage.of(tenant_id))
            return work

        return make


class SharedKeys(InMemoryRequestLog):
    """Lets a second request take a key that is taken."""

    def check(self) -> None:
        pass


class TestRequestLog(UnitOfWorkContract):
    notices = "test_of_many_who_claim_a_key_at_once_one_succeeds"

    @pytest.fixture
    def units_of_work(self) -> UnitOfWorkFactory:
        storage = InMemoryStorage()

        def make(tenant_id: TenantId) -> InMemoryUnitOfWork:
            work = InMemoryUnitOfWork(storage, tenant_id)
            work._requests = SharedKeys(storage.of(tenant_id))
            return work

        return make
