"""Builds the whole application from its settings."""

# ruff: noqa: PLC0415 - each technology is imported only where it is configured, by whoever uses it

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prosa.application.accept_turn import AcceptTurn
from prosa.application.close_conversation import CloseConversation
from prosa.application.deliver_reply import DeliverReply
from prosa.application.ports.authenticator import Authenticator
from prosa.application.ports.conversation_reader import ConversationReader
from prosa.application.ports.event_bus import EventBus
from prosa.application.ports.language_model import LanguageModel
from prosa.application.ports.outbox import Outbox
from prosa.application.ports.prompt_catalog import PromptCatalog
from prosa.application.ports.reply_outlet import ReplyOutlet
from prosa.application.ports.turn_runner import TurnRunner
from prosa.application.recover_turns import Recovered, RecoverTurns
from prosa.application.relay_outbox import RelayOutbox
from prosa.application.run_elsewhere import RunElsewhere
from prosa.application.start_conversation import StartConversation
from prosa.application.take_turn import TakeTurn
from prosa.application.turn_policy import TurnPolicy
from prosa.application.turn_steps import TurnSteps
from prosa.bootstrap.events import EventRelay, open_event_bus, relay_of
from prosa.bootstrap.identity import open_authenticator
from prosa.bootstrap.models import ModelChain, breaker_probe, degrading, open_chain
from prosa.bootstrap.moments import now
from prosa.bootstrap.parts import Chore, Probe
from prosa.bootstrap.probes import probes_of_aws
from prosa.bootstrap.queues import open_reply_outlet, open_turn_runner
from prosa.bootstrap.secrets import read_settings
from prosa.bootstrap.storage import open_database, require_ready
from prosa.bootstrap.telemetry import Around, open_telemetry
from prosa.bootstrap.texts import load_guardrail, load_intent_classifier, load_intents, load_prompts
from prosa.domain.identifiers import TenantId, time_ordered
from prosa.settings import Settings

if TYPE_CHECKING:
    from prosa.adapters.opentelemetry.telemetry import Telemetry
    from prosa.adapters.resilience.circuit_breaker import BreakerView
    from prosa.adapters.sql.database import Database

RECOVER_SECONDS = 5.0
"""How often to look for turns that have crashed: as long as a lease outlives its deadline."""


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """The application: what a user can ask for, by name."""

    settings: Settings
    authenticator: Authenticator
    """Says who asks, for entrypoints that others can reach."""
    take_turn: TakeTurn
    turn_steps: TurnSteps
    """The steps of TakeTurn as tasks that share no process."""
    run_elsewhere: RunElsewhere | None
    """Has turns run where PROSA_TURN_RUNNER says; None where that is in this process."""
    start_conversation: StartConversation
    close_conversation: CloseConversation
    conversations: ConversationReader
    model: LanguageModel
    """The model chain, with all that is around it."""
    breakers: "Callable[[], tuple[BreakerView, ...]]"
    """How the breaker of each model is now, in the chain's order."""
    probes: tuple[Probe, ...]
    recover_turns: RecoverTurns
    relay_outbox: RelayOutbox
    outbox: Outbox
    event_bus: EventBus
    deliver_reply: DeliverReply | None
    """Sends replies that nobody waits for to PROSA_REPLY_QUEUE; None where that is not set."""
    events_stored: asyncio.Event
    """Is set when events were stored: whoever relays them clears it."""
    chores: tuple[Chore, ...]
    """What `prosa serve` does beside answering. Who opens an app does none of it by that alone."""
    telemetry: "Telemetry | None"
    """What makes spans and counts; None where nobody has asked for it."""


@asynccontextmanager
async def bootstrap(
    settings: Settings | None = None,
    *,
    model: LanguageModel | None = None,
    event_bus: EventBus | None = None,
    telemetry: "Telemetry | None" = None,
) -> AsyncIterator[App]:
    """Build the application, and close within it what was opened.

    Without `settings` they are read by `read_settings`. What is given stays open: `model` takes the
    place of PROSA_MODELS, and has retry and breaker around it, too; `event_bus` takes that of
    PROSA_EVENT_BUS, and `telemetry` that of what OTEL_… variables ask for. An embedded SQLite file
    is made and migrated; any other database has to be migrated already, but may be away and come
    back. Raises ConfigurationError, StorageUnavailable.
    """
    if settings is None:
        settings = await asyncio.to_thread(read_settings)
    async with AsyncExitStack() as stack:
        around = await stack.enter_async_context(open_telemetry(settings, telemetry))
        prompts = await load_prompts(settings)
        database = await stack.enter_async_context(open_database(settings))
        await require_ready(settings, database)
        if event_bus is None:
            event_bus = await stack.enter_async_context(open_event_bus(settings))
        relay = relay_of(database, event_bus, around)
        chain = await stack.enter_async_context(
            open_chain(settings, model, relay.event_bus, around)
        )
        authenticator = await stack.enter_async_context(open_authenticator(settings))
        turn_runner = await stack.enter_async_context(open_turn_runner(settings))
        reply_outlet = await stack.enter_async_context(open_reply_outlet(settings))
        yield _wired(
            settings,
            chain,
            relay,
            database,
            prompts,
            around=around,
            authenticator=authenticator,
            turn_runner=around.turn_runner(turn_runner),
            reply_outlet=around.reply_outlet(reply_outlet),
            aws_probes=probes_of_aws(
                settings, turn_runner=turn_runner, event_bus=event_bus, reply_outlet=reply_outlet
            ),
        )


def _wired(
    settings: Settings,
    chain: ModelChain,
    relay: EventRelay,
    database: "Database",
    prompts: PromptCatalog,
    *,
    around: Around,
    authenticator: Authenticator,
    turn_runner: TurnRunner | None,
    reply_outlet: ReplyOutlet | None,
    aws_probes: tuple[Probe, ...],
) -> App:
    from prosa.adapters.files.canned_replies import load_canned_replies
    from prosa.adapters.sql.attempt_store import SqlAttemptStore
    from prosa.adapters.sql.conversation_reader import SqlConversationReader
    from prosa.adapters.sql.delivery_ledger import SqlDeliveryLedger
    from prosa.adapters.sql.expired_turns import SqlExpiredTurns
    from prosa.adapters.sql.unit_of_work import SqlUnitOfWork

    def unit_of_work(tenant_id: TenantId) -> SqlUnitOfWork:
        return SqlUnitOfWork(database, tenant_id, on_events=relay.chore.doorbell.set)

    units_of_work = around.units_of_work(unit_of_work)
    new_hex = time_ordered(now)
    reader = around.conversation_reader(SqlConversationReader(database))
    guardrail = around.guardrail(load_guardrail())
    canned_replies = load_canned_replies(settings.locale)
    policy = TurnPolicy(deadline_seconds=settings.deadline_seconds, time_zone=settings.time_zone)
    accept = around.accept_turn(AcceptTurn)(
        units_of_work=units_of_work,
        reader=reader,
        guardrail=guardrail,
        canned_replies=canned_replies,
        policy=policy,
        clock=now,
        new_hex=new_hex,
    )
    take_turn = around.take_turn(TakeTurn)(
        accept=accept,
        units_of_work=units_of_work,
        reader=reader,
        guardrail=guardrail,
        intent_classifier=load_intent_classifier(settings, load_intents(), chain.model, prompts),
        prompts=prompts,
        model=degrading(chain.model, settings, canned_replies),
        canned_replies=canned_replies,
        policy=policy,
        clock=now,
        new_hex=new_hex,
    )
    attempts = around.attempt_store(SqlAttemptStore(database))
    run_elsewhere = (
        RunElsewhere(runner=turn_runner, attempts=attempts, take_turn=take_turn)
        if turn_runner
        else None
    )
    deliver_reply = (
        DeliverReply(
            reader=reader,
            ledger=around.delivery_ledger(SqlDeliveryLedger(database)),
            outlet=reply_outlet,
            clock=now,
        )
        if reply_outlet
        else None
    )
    recover_turns = around.recover_turns(RecoverTurns)(
        expired_turns=SqlExpiredTurns(database),
        take_turn=take_turn,
        clock=now,
        run_elsewhere=run_elsewhere,
    )
    return App(
        settings=settings,
        authenticator=authenticator,
        take_turn=take_turn,
        turn_steps=TurnSteps(
            take_turn=take_turn, attempts=attempts, reader=reader, policy=policy, clock=now
        ),
        run_elsewhere=run_elsewhere,
        start_conversation=StartConversation(
            units_of_work=units_of_work, reader=reader, clock=now, new_hex=new_hex
        ),
        close_conversation=CloseConversation(
            units_of_work=units_of_work, clock=now, new_hex=new_hex
        ),
        conversations=reader,
        model=chain.model,
        breakers=lambda: tuple(breaker.view() for breaker in chain.breakers),
        probes=(
            Probe(name="database", check=database.check),
            *aws_probes,
            *map(breaker_probe, chain.breakers),
        ),
        recover_turns=recover_turns,
        relay_outbox=relay.relay_outbox,
        outbox=relay.outbox,
        event_bus=relay.event_bus,
        deliver_reply=deliver_reply,
        events_stored=relay.chore.doorbell,
        chores=(relay.chore, _recovering(recover_turns)),
        telemetry=around.telemetry,
    )


def _recovering(recover_turns: RecoverTurns) -> Chore:
    async def recover() -> bool:
        return await recover_turns() != Recovered()

    return Chore(name="recovering turns", work=recover, every_seconds=RECOVER_SECONDS)
