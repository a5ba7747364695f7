"""The use cases over in-memory adapters, for tests: everything real but the world outside."""

import asyncio
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass

from prosa.adapters.in_memory.attempt_store import InMemoryAttemptStore
from prosa.adapters.in_memory.conversation_reader import InMemoryConversationReader
from prosa.adapters.in_memory.expired_turns import InMemoryExpiredTurns
from prosa.adapters.in_memory.guardrail import ScriptedGuardrail
from prosa.adapters.in_memory.intent_classifier import ScriptedIntentClassifier
from prosa.adapters.in_memory.language_model import ScriptedLanguageModel, Step
from prosa.adapters.in_memory.prompt_catalog import InMemoryPromptCatalog
from prosa.adapters.in_memory.storage import InMemoryStorage, TenantState
from prosa.adapters.in_memory.unit_of_work import InMemoryUnitOfWork
from prosa.application.accept_turn import AcceptTurn, CustomerMessage
from prosa.application.close_conversation import CloseConversation
from prosa.application.ports.language_model import ModelRequest
from prosa.application.ports.prompt_catalog import PromptCatalog
from prosa.application.ports.unit_of_work import UnitOfWork
from prosa.application.recover_turns import RecoverTurns
from prosa.application.start_conversation import NewConversation, StartConversation
from prosa.application.take_turn import TakeTurn
from prosa.application.turn_policy import TurnPolicy
from prosa.application.turn_steps import TurnSteps
from prosa.domain.content import text_of
from prosa.domain.conversation_header import ConversationHeader
from prosa.domain.identifiers import ConversationId, TenantId, TurnId
from prosa.domain.intent import Intent, IntentCatalog, IntentDefinition
from prosa.domain.message import Message
from prosa.domain.prompt import PromptTemplate
from prosa.domain.reply import CannedReplies
from prosa.domain.turn import Turn
from prosa.testing.builders import VirtualClock

TENANT = TenantId("acme")
KEY = "key-1"
SAFE = "Desculpe, não posso ajudar com isso. Posso ajudar com pedidos."
SORRY = "Desculpe, tente mais tarde."
REFUND = Intent(name="refund", confidence=0.9)

INTENTS = IntentCatalog(
    definitions=tuple(
        IntentDefinition(name=name, description=f"about {name}", patterns=(name,))
        for name in ("refund", "other")
    ),
    fallback="other",
)
PROMPT = PromptTemplate(
    name="support_agent", version="1", text="Today is {{ today }}; it is about {{ intent }}."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """What goes wrong with one commit, before or after it has written; with no error it hangs."""

    error: Exception | None = None
    written: bool = False

    async def strike(self) -> None:
        """Go wrong."""
        if self.error is None:
            await asyncio.get_running_loop().create_future()
        else:
            raise self.error


class TroubledUnitOfWork(InMemoryUnitOfWork):
    """Commits, unless there is trouble."""

    def __init__(
        self, storage: InMemoryStorage, tenant_id: TenantId, commits: deque[Trouble | None]
    ) -> None:
        super().__init__(storage, tenant_id)
        self._commits = commits

    async def commit(self) -> None:
        """Commit as the script says, then as it should be."""
        trouble = self._commits.popleft() if self._commits else None
        if trouble is None or trouble.written:
            await super().commit()
        if trouble is not None:
            await trouble.strike()


class TroubledReader(InMemoryConversationReader):
    """Reads, unless there is trouble."""

    def __init__(self, storage: InMemoryStorage) -> None:
        super().__init__(storage)
        self.troubles: deque[Trouble] = deque()
        """What happens at the next reads of single turns and conversations."""

    async def get_conversation(
        self, tenant_id: TenantId, conversation_id: ConversationId
    ) -> ConversationHeader:
        """Read as the script says, then as it should be."""
        if self.troubles:
            await self.troubles.popleft().strike()
        return await super().get_conversation(tenant_id, conversation_id)

    async def get_turn(self, tenant_id: TenantId, turn_id: TurnId) -> Turn:
        """Read as the script says, then as it should be."""
        if self.troubles:
            await self.troubles.popleft().strike()
        return await super().get_turn(tenant_id, turn_id)


class Service:
    """One installation: its use cases, what they stand on, and short ways to ask them."""

    def __init__(
        self,
        *script: Step,
        always: Step = "Claro!",
        context_tokens: int = 128_000,
        needs_alternating_roles: bool = False,
        guardrail: ScriptedGuardrail | None = None,
        classifier: ScriptedIntentClassifier | None = None,
        prompts: PromptCatalog | None = None,
        policy: TurnPolicy | None = None,
        model: ScriptedLanguageModel | None = None,
        storage: InMemoryStorage | None = None,
        clock: VirtualClock | None = None,
    ) -> None:
        """Take the script of the model, what it says after that, and what else is unusual.

        Installations that are given the same storage and clock are processes of one.
        """
        self.clock = clock or VirtualClock()
        self.model = model or ScriptedLanguageModel(
            script,
            default=always,
            context_tokens=context_tokens,
            needs_alternating_roles=needs_alternating_roles,
            clock=self.clock,
        )
        self.guardrail = guardrail or ScriptedGuardrail()
        self.classifier = classifier or ScriptedIntentClassifier(INTENTS)
        self.policy = policy or TurnPolicy()
        self.storage = storage or InMemoryStorage()
        self.reader = TroubledReader(self.storage)
        self.attempts = InMemoryAttemptStore(self.storage)
        self.commits: deque[Trouble | None] = deque()
        """What happens at the next commits; None for one that does what it should."""
        self.accept = AcceptTurn(
            units_of_work=self.units_of_work,
            reader=self.reader,
            guardrail=self.guardrail,
            canned_replies=CannedReplies(refused=SAFE, unavailable=SORRY),
            policy=self.policy,
            clock=self.clock,
            new_hex=self.clock.new_hex,
        )
        self.take_turn = TakeTurn(
            accept=self.accept,
            units_of_work=self.units_of_work,
            reader=self.reader,
            guardrail=self.guardrail,
            intent_classifier=self.classifier,
            prompts=prompts or InMemoryPromptCatalog([PROMPT]),
            model=self.model,
            canned_replies=CannedReplies(refused=SAFE, unavailable=SORRY),
            policy=self.policy,
            clock=self.clock,
            new_hex=self.clock.new_hex,
        )
        self.steps = TurnSteps(
            take_turn=self.take_turn,
            attempts=self.attempts,
            reader=self.reader,
            policy=self.policy,
            clock=self.clock,
        )
        self.recover_turns = RecoverTurns(
            expired_turns=InMemoryExpiredTurns(self.storage),
            take_turn=self.take_turn,
            clock=self.clock,
        )
        self.start_conversation = StartConversation(
            units_of_work=self.units_of_work,
            reader=self.reader,
            clock=self.clock,
            new_hex=self.clock.new_hex,
        )
        self.close_conversation = CloseConversation(
            units_of_work=self.units_of_work, clock=self.clock, new_hex=self.clock.new_hex
        )

    def units_of_work(self, tenant_id: TenantId) -> UnitOfWork:
        """Make a unit of work."""
        return TroubledUnitOfWork(self.storage, tenant_id, self.commits)

    @property
    def state(self) -> TenantState:
        """What is committed of the tenant that tests use."""
        return self.storage.of(TENANT)

    async def a_conversation(self) -> ConversationId:
        """Start a conversation."""
        started = await self.start_conversation(NewConversation(tenant_id=TENANT))
        return started.header.id

    def messages(self, conversation_id: ConversationId) -> list[Message]:
        """Give all that was said."""
        return self.state.messages.get(conversation_id, [])

    def texts(self, conversation_id: ConversationId) -> list[str]:
        """Give the words of all that was said."""
        return [message.text for message in self.messages(conversation_id)]

    def event_names(self) -> list[str]:
        """Name what happened, in order."""
        return [type(event).__name__ for event in self.state.events]


def a_message(
    text: str = "Cadê meu pedido?",
    *,
    to: ConversationId | None = None,
    key: str | None = None,
    tenant_id: TenantId = TENANT,
    caller: str = "",
    wait_seconds: float | None = None,
    caller_waits: bool = True,
) -> CustomerMessage:
    """Write a customer's message; without `to` it starts a conversation."""
    return CustomerMessage(
        text=text,
        tenant_id=tenant_id,
        conversation_id=to,
        caller=caller,
        idempotency_key=key,
        wait_seconds=wait_seconds,
        caller_waits=caller_waits,
    )


def shown_in(request: ModelRequest) -> list[str]:
    """Give the words of all that a model was shown."""
    return [text_of(utterance.parts) for utterance in request.utterances]


class Listener:
    """Keeps the pieces that a stream shows."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.pieces: list[str] = []
        self._fails_at = fails_at

    async def __call__(self, piece: str) -> None:
        """Take a piece."""
        self.pieces.append(piece)
        if len(self.pieces) == self._fails_at:
            raise ConnectionResetError


def lost(error: Exception, times: int) -> Iterable[Trouble]:
    """Make a number of commits fail that write nothing."""
    return [Trouble(error=error)] * times
