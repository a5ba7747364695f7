"""Rows 1 to 5 and 7 to 9 of the fault matrix: what crashes and crowds may do to a turn's protocol.

Over each kind of storage, the real ones with real concurrency. What a crash is: an exception that
nothing catches, before or after a commit. Processes that are really killed are another file's.
"""

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from types import TracebackType
from typing import Self

import pytest

from prosa.adapters.in_memory.conversation_reader import InMemoryConversationReader
from prosa.adapters.in_memory.expired_turns import InMemoryExpiredTurns
from prosa.adapters.in_memory.guardrail import ScriptedGuardrail
from prosa.adapters.in_memory.intent_classifier import ScriptedIntentClassifier
from prosa.adapters.in_memory.language_model import ScriptedLanguageModel
from prosa.adapters.in_memory.prompt_catalog import InMemoryPromptCatalog
from prosa.adapters.in_memory.storage import InMemoryStorage
from prosa.adapters.in_memory.unit_of_work import InMemoryUnitOfWork
from prosa.adapters.sql.conversation_reader import SqlConversationReader
from prosa.adapters.sql.database import Database
from prosa.adapters.sql.expired_turns import SqlExpiredTurns
from prosa.adapters.sql.unit_of_work import SqlUnitOfWork
from prosa.application.accept_turn import AcceptedTurn, AcceptTurn, CustomerMessage
from prosa.application.ports.conversation_reader import ConversationReader
from prosa.application.ports.conversation_repository import ConversationRepository
from prosa.application.ports.expired_turns import ExpiredTurn, ExpiredTurns
from prosa.application.ports.request_log import RequestLog
from prosa.application.ports.unit_of_work import UnitOfWork, UnitOfWorkFactory
from prosa.application.recover_turns import RecoverTurns
from prosa.application.start_conversation import NewConversation, StartConversation
from prosa.application.take_turn import TakeTurn
from prosa.application.turn_policy import TurnPolicy
from prosa.domain.errors import ConversationBusy, KeyReused, StaleAttempt, TurnInProgress
from prosa.domain.identifiers import ConversationId, TenantId
from prosa.domain.message import Message
from prosa.domain.reply import CannedReplies
from prosa.domain.turn import TurnOutcome, TurnStatus
from prosa.testing.builders import VirtualClock, a_tenant
from tests.application.service import INTENTS, KEY, PROMPT, SAFE, SORRY

LEASE_SECONDS = 30.0
MANY = 10_000
POLICY = TurnPolicy()
CANNED = CannedReplies(refused=SAFE, unavailable=SORRY)


@dataclass(frozen=True, kw_only=True)
class Storage:
    """What one kind of storage brings."""

    units_of_work: UnitOfWorkFactory
    reader: ConversationReader
    expired_turns: ExpiredTurns


@pytest.fixture(params=["in_memory", "sqlite", "postgres"])
def storage(request: pytest.FixtureRequest) -> Storage:
    if request.param == "in_memory":
        kept = InMemoryStorage()
        return Storage(
            units_of_work=partial(InMemoryUnitOfWork, kept),
            reader=InMemoryConversationReader(kept),
            expired_turns=InMemoryExpiredTurns(kept),
        )
    database: Database = request.getfixturevalue(request.param)
    return Storage(
        units_of_work=partial(SqlUnitOfWork, database),
        reader=SqlConversationReader(database),
        expired_turns=SqlExpiredTurns(database),
    )


@pytest.fixture
def clock() -> VirtualClock:
    return VirtualClock()


@pytest.fixture
def tenant() -> TenantId:
    return a_tenant()


class Died(BaseException):
    """The process is no more."""


@dataclass
class Life:
    """How many commits a process makes until it dies, and whether it dies before the next."""

    commits: int
    dies_before: bool

    async def commit(self, work: UnitOfWork) -> None:
        """Commit, or die, or both."""
        is_last = self.commits == 0
        self.commits -= 1
        if is_last and self.dies_before:
            raise Died
        await work.commit()
        if is_last:
            raise Died


class MortalUnitOfWork(UnitOfWork):
    """A unit of work of a process that may die in it."""

    def __init__(self, work: UnitOfWork, life: Life) -> None:
        self._work = work
        self._life = life

    @property
    def conversations(self) -> ConversationRepository:
        return self._work.conversations

    @property
    def requests(self) -> RequestLog:
        return self._work.requests

    async def __aenter__(self) -> Self:
        await self._work.__aenter__()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._work.__aexit__(exc_type, exc, traceback)

    async def commit(self) -> None:
        await self._life.commit(self._work)


class OfTenant(ExpiredTurns):
    """Finds one tenant's turns only: tests share a database."""

    def __init__(self, expired_turns: ExpiredTurns, tenant: TenantId) -> None:
        self._expired_turns = expired_turns
        self._tenant = tenant

    async def find(self, *, now: datetime, limit: int) -> tuple[ExpiredTurn, ...]:
        found = await self._expired_turns.find(now=now, limit=MANY)
        return tuple(each for each in found if each.tenant_id == self._tenant)[:limit]


class Process:
    """One process of an installation: several share a storage and a clock."""

    def __init__(
        self,
        storage: Storage,
        clock: VirtualClock,
        tenant: TenantId,
        *replies: str,
        life: Life | None = None,
    ) -> None:
        self.storage, self.clock, self.tenant = storage, clock, tenant
        self.model = ScriptedLanguageModel(replies, default="Claro!", clock=clock)
        self.guardrail = ScriptedGuardrail()

        def units_of_work(tenant_id: TenantId) -> UnitOfWork:
            work = storage.units_of_work(tenant_id)
            return MortalUnitOfWork(work, life) if life else work

        self.accept = AcceptTurn(
            units_of_work=units_of_work,
            reader=storage.reader,
            guardrail=self.guardrail,
            canned_replies=CANNED,
            policy=POLICY,
            clock=clock,
            new_hex=clock.new_hex,
        )
        self.take_turn = TakeTurn(
            accept=self.accept,
            units_of_work=units_of_work,
            reader=storage.reader,
            guardrail=self.guardrail,
            intent_classifier=ScriptedIntentClassifier(INTENTS),
            prompts=InMemoryPromptCatalog([PROMPT]),
            model=self.model,
            canned_replies=CANNED,
            policy=POLICY,
            clock=clock,
            new_hex=clock.new_hex,
        )
        self.recover_turns = RecoverTurns(
            expired_turns=OfTenant(storage.expired_turns, tenant),
            take_turn=self.take_turn,
            clock=clock,
        )

    async def a_conversation(self) -> ConversationId:
        start = StartConversation(
            units_of_work=self.storage.units_of_work,
            reader=self.storage.reader,
            clock=self.clock,
            new_hex=self.clock.new_hex,
        )
        return (await start(NewConversation(tenant_id=self.tenant))).header.id

    async def send(
        self, text: str = "Oi", *, key: str = KEY, to: ConversationId | None = None
    ) -> TurnOutcome:
        return await self.take_turn(self.message(text, key=key, to=to))

    def message(
        self, text: str = "Oi", *, key: str = KEY, to: ConversationId | None = None
    ) -> CustomerMessage:
        return CustomerMessage(
            text=text, tenant_id=self.tenant, conversation_id=to, idempotency_key=key
        )

    async def messages(self, conversation: ConversationId) -> tuple[Message, ...]:
        page = await self.storage.reader.list_messages(
            self.tenant, conversation, limit=200, after=None, ascending=True
        )
        return page.items

    async def texts(self, conversation: ConversationId) -> list[str]:
        return [message.text for message in await self.messages(conversation)]


async def dies(process: Process) -> None:
    with pytest.raises(Died):
        await process.send()


# Rows 1 to 4: a process that dies at each commit of a turn


async def test_dead_before_its_claim_was_committed_a_retry_runs_fresh(
    storage: Storage, clock: VirtualClock, tenant: TenantId
) -> None:
    await dies(Process(storage, clock, tenant, life=Life(0, dies_before=True)))
    outcome = await Process(storage, clock, tenant).send()
    assert (outcome.replayed, outcome.turn.attempt) == (False, 1)


async def test_dead_after_its_claim_the_turn_is_in_progress_and_then_taken_over(
    storage: Storage, clock: VirtualClock, tenant: TenantId
) -> None:
    await dies(Process(storage, clock, tenant, life=Life(0, dies_before=False)))
    other = Process(storage, clock, tenant, "Agora sim.")
    with pytest.raises(TurnInProgress):
        await other.send()
    clock.advance(LEASE_SECONDS)
    outcome = await other.send()
    assert (outcome.turn.attempt, outcome.turn.failures) == (2, 1)
    assert await other.texts(outcome.turn.conversation_id) == ["Oi", "Agora sim."]


async def test_dead_after_the_model_answered_the_call_is_paid_again_and_one_reply_is_there(
    storage: Storage, clock: VirtualClock, tenant: TenantId
) -> None:
    dead = Process(storage, clock, tenant, "Perdida.", life=Life(1, dies_before=True))
    await dies(dead)
    other = Process(storage, clock, tenant, "Agora sim.")
    with pytest.raises(TurnInProgress):
        await other.send()
    clock.advance(LEASE_SECONDS)
    outcome = await other.send()
    assert len(dead.model.requests) == len(other.model.requests) == 1
    assert await other.texts(outcome.turn.conversation_id) == ["Oi", "Agora sim."]


async def test_dead_after_its_record_the_same_key_replays(
    storage: Storage, clock: VirtualClock, tenant: TenantId
) -> None:
    await dies(Process(storage, clock, tenant, "Uma vez.", life=Life(1, dies_before=False)))
    other = Process(storage, clock, tenant)
    outcome = await other.send()
    assert (outcome.replayed, outcome.turn.attempt, other.model.requests) == (True, 1, [])
    assert await other.texts(outcome.turn.conversation_id) == ["Oi", "Uma vez."]


# Row 5: a process that was paused past its lease


@pytest.mark.parametrize("the_other_has_answered", [True, False])
async def test_what_a_zombie_brings_is_discarded(
    storage: Storage, clock: VirtualClock, tenant: TenantId, *, the_other_has_answered: bool
) -> None:
    paused = Process(storage, clock, tenant, "Morta.")
    attempt = (await paused.accept(paused.message())).attempt
    assert attempt is not None
    zombie = await paused.take_turn.generate(attempt)
    clock.advance(LEASE_SECONDS)
    other = Process(storage, clock, tenant, "Viva.")
    taken_over = (await other.accept(other.message())).attempt
    assert taken_over is not None
    if the_other_has_answered:
        await other.take_turn.run(taken_over)
    with pytest.raises(StaleAttempt):
        await paused.take_turn.record(zombie)
    with pytest.raises(StaleAttempt):
        await paused.take_turn.fail(zombie, RuntimeError())
    if not the_other_has_answered:
        await other.take_turn.run(taken_over)
    assert await other.texts(attempt.conversation_id) == ["Oi", "Viva."]


async def test_a_zombie_whose_conversation_went_on_is_discarded(
    storage: Storage, clock: VirtualClock, tenant: TenantId
) -> None:
    paused = Process(storage, clock, tenant, "Morta.")
    attempt = (await paused.accept(paused.message())).attempt
    assert attempt is not None
    zombie = await paused.take_turn.generate(attempt)
    clock.advance(LEASE_SECONDS)
    other = Process(storage, clock, tenant, "Viva.")
    await other.send("E aí?", key="key-2", to=attempt.conversation_id)
    with pytest.raises(StaleAttempt):
        await paused.take_turn.record(zombie)
    assert await other.texts(attempt.conversation_id) == ["Oi", "E aí?", "Viva."]


# Rows 7 to 9: many at once


async def test_of_fifty_at_once_with_one_key_one_is_answered(
    storage: Storage, clock: VirtualClock, tenant: TenantId
) -> None:
    processes = [Process(storage, clock, tenant) for _ in range(2)]
    results = await asyncio.gather(
        *(processes[number % 2].send() for number in range(50)), return_exceptions=True
    )
    answered = outcomes_among(results, TurnInProgress)
    assert sum(not outcome.replayed for outcome in answered) == 1
    assert len({outcome.turn.id for outcome in answered}) == 1
    assert sum(len(process.model.requests) for process in processes) == 1
    assert len(await processes[0].messages(answered[0].turn.conversation_id)) == 2


async def test_another_body_with_a_used_key_is_refused_while_it_runs_and_after(
    storage: Storage, clock: VirtualClock, tenant: TenantId
) -> None:
    process = Process(storage, clock, tenant)
    attempt = (await process.accept(process.message("Oi"))).attempt
    assert attempt is not None
    with pytest.raises(KeyReused):
        await process.send("Tchau")
    await process.take_turn.run(attempt)
    with pytest.raises(KeyReused):
        await process.send("Tchau")
    assert await process.texts(attempt.conversation_id) == ["Oi", "Claro!"]


async def test_of_twenty_at_once_in_one_conversation_each_is_answered_in_turn_or_told_it_is_busy(
    storage: Storage, clock: VirtualClock, tenant: TenantId
) -> None:
    processes = [Process(storage, clock, tenant) for _ in range(2)]
    conversation = await processes[0].a_conversation()
    results = await asyncio.gather(
        *(
            processes[number % 2].send(f"q{number}", key=f"key-{number}", to=conversation)
            for number in range(20)
        ),
        return_exceptions=True,
    )
    answered = outcomes_among(results, ConversationBusy)
    assert answered
    messages = await processes[0].messages(conversation)
    assert [each.sequence for each in messages] == list(range(1, 2 * len(answered) + 1))
    assert [each.turn_id for each in messages[::2]] == [each.turn_id for each in messages[1::2]]


async def test_of_two_that_recover_at_once_each_crashed_turn_is_run_by_one(
    storage: Storage, clock: VirtualClock, tenant: TenantId
) -> None:
    processes = [Process(storage, clock, tenant) for _ in range(2)]
    turns = [await a_crashed_turn(processes[0], f"key-{number}") for number in range(20)]
    clock.advance(LEASE_SECONDS)
    recovered = await asyncio.gather(*(process.recover_turns() for process in processes))
    assert sum(each.run_again for each in recovered) == len(turns)
    assert sum(len(process.model.requests) for process in processes) == len(turns)
    for accepted in turns:
        turn = await storage.reader.get_turn(tenant, accepted.turn.id)
        assert (turn.status, turn.attempt) == (TurnStatus.COMPLETED, 2)
        assert len(await processes[0].messages(turn.conversation_id)) == 2


async def a_crashed_turn(process: Process, key: str) -> AcceptedTurn:
    message = replace(process.message(key=key), caller_waits=False)
    return await process.accept(message)


def outcomes_among(
    results: Iterable[TurnOutcome | BaseException], refused: type[Exception]
) -> list[TurnOutcome]:
    """Give the answers; whatever is none must be a refusal of this kind."""
    answered = []
    for result in results:
        if isinstance(result, TurnOutcome):
            answered.append(result)
        else:
            assert isinstance(result, refused), repr(result)
    return answered
