"""`prosa doctor`: asks each configured part whether it works, and says what to mend."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Annotated

import typer

from prosa.application.ports.guardrail import Passage
from prosa.application.ports.language_model import ModelRequest
from prosa.application.turn_policy import TurnPolicy
from prosa.bootstrap.events import open_event_bus
from prosa.bootstrap.identity import key_set_place, read_key_set
from prosa.bootstrap.models import open_model
from prosa.bootstrap.moments import now
from prosa.bootstrap.packages import required_packages
from prosa.bootstrap.queues import open_inbound_queue, open_reply_outlet, open_turn_runner
from prosa.bootstrap.secrets import read_settings
from prosa.bootstrap.storage import naming_database, open_database
from prosa.bootstrap.telemetry import check_telemetry
from prosa.bootstrap.texts import load_guardrail, load_intent_classifier, load_intents, load_prompts
from prosa.domain.content import Text
from prosa.domain.errors import ConfigurationError, ProsaError
from prosa.domain.identifiers import DEFAULT_TENANT
from prosa.domain.message import Role, Utterance
from prosa.domain.verdict import Direction
from prosa.entrypoints.cli.in_words import counted, one_in_words, server_of
from prosa.entrypoints.logs import set_up_logging
from prosa.settings import ModelName, Settings

QUESTION = "Say hello in one word."
ANSWER_TOKENS = 64
"""Enough for a word from a model that thinks first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Diagnosis:
    """How one part is: what was found, or what to mend."""

    part: str
    works: bool
    detail: str


def doctor(*, as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Check each configured part and say what to mend.

    Each model is asked a small question, which a provider may charge for. Exits with 0 where
    everything works, else with 1.
    """
    diagnoses = asyncio.run(_diagnoses())
    works = all(diagnosis.works for diagnosis in diagnoses)
    if as_json:
        parts = [asdict(diagnosis) for diagnosis in diagnoses]
        typer.echo(json.dumps({"works": works, "parts": parts}, ensure_ascii=False))
    else:
        for diagnosis in diagnoses:
            _tell(diagnosis)
    raise typer.Exit(0 if works else 1)


def _tell(diagnosis: Diagnosis) -> None:
    colour, word = ("green", "works") if diagnosis.works else ("red", "mend ")
    typer.secho(word, fg=colour, nl=False)
    typer.echo(f"  {diagnosis.part:<9}  {diagnosis.detail}")


async def _diagnoses() -> list[Diagnosis]:
    try:
        settings = read_settings()
    except ConfigurationError as error:
        # Nothing else can be looked at.
        return [Diagnosis(part="settings", works=False, detail=str(error))]
    set_up_logging(settings)
    checks: dict[str, Callable[[Settings], Awaitable[str]]] = {
        "settings": _check_settings,
        "identity": _check_identity,
        "database": _check_database,
        "prompts": _check_prompts,
        "guardrail": _check_guardrail,
        "intents": _check_intents,
        "turns": _check_turn_runner,
        "events": _check_event_bus,
        "queues": _check_queues,
        "telemetry": _check_telemetry,
    }
    diagnoses = [await _diagnosis(part, check(settings)) for part, check in checks.items()]
    models = [await _diagnosis("model", _check_model(settings, n)) for n in settings.models]
    return [*diagnoses, *models]


async def _diagnosis(part: str, check: Awaitable[str]) -> Diagnosis:
    try:
        return Diagnosis(part=part, works=True, detail=await check)
    except ProsaError as error:
        return Diagnosis(part=part, works=False, detail=str(error))


async def _check_settings(settings: Settings) -> str:
    return (
        f"{settings.environment}, {settings.locale}, authentication {settings.auth}; a model that "
        f"fails {settings.breaker_failures} times in a row "
        f"is not asked for {settings.breaker_rest_seconds:g} s"
    )


async def _check_identity(settings: Settings) -> str:
    if settings.auth == "none":
        return "everybody is let in, from this machine only"
    with required_packages("PROSA_AUTH names jwt", extra="jwt"):
        from prosa.adapters.jwt.key_set import usable_keys  # noqa: PLC0415 - of an extra

    keys = usable_keys(await read_key_set(settings), place=key_set_place(settings))
    return f"{settings.jwt_issuer} has {counted(len(keys), 'key')} at {settings.key_set_url}"


async def _check_database(settings: Settings) -> str:
    file = settings.sqlite_file
    async with open_database(settings) as database:
        if file is not None and not file.exists():
            # Looking would make it.
            return f"{settings.database_place} is made at the first start"
        with naming_database(settings):
            newer = await database.check()
        told = newer or f"at revision {await database.revision()}"
        return f"{settings.database_place}, {told}"


async def _check_prompts(settings: Settings) -> str:
    prompt = await (await load_prompts(settings)).get(DEFAULT_TENANT, TurnPolicy().prompt)
    return f"{prompt.name} version {prompt.version}"


async def _check_guardrail(_settings: Settings) -> str:
    passage = Passage(tenant_id=DEFAULT_TENANT, direction=Direction.INBOUND, text="Olá")
    verdict = await load_guardrail().screen(passage)
    return f"lets a greeting pass: {type(verdict).__name__.lower()}"


async def _check_intents(settings: Settings) -> str:
    intents = load_intents()
    return f"{len(intents.names)} of them, told by {settings.intent_classifier}"


async def _check_turn_runner(settings: Settings) -> str:
    async with open_turn_runner(settings) as runner:
        if runner is None:
            return "run in the process that accepts them"
        await runner.check()
        return f"run in {settings.turn_runner.partition(':')[2]}"


async def _check_event_bus(settings: Settings) -> str:
    async with open_event_bus(settings) as event_bus:
        await event_bus.check()
        return f"go to {settings.event_bus}"


async def _check_queues(settings: Settings) -> str:
    async with open_reply_outlet(settings) as outlet:
        if outlet is not None:
            await outlet.check()
    if settings.inbound_queue is None:
        return "no channel pushes messages to one"
    async with open_inbound_queue(settings, wait_seconds=0) as queue:
        waiting = counted(await queue.count(), "message")
        return f"in {settings.inbound_queue}: about {waiting}"


async def _check_telemetry(_settings: Settings) -> str:
    destinations = check_telemetry()
    if not destinations:
        return "off: nothing is sent"
    told = (f"{signal} go to {server_of(address)}" for signal, address in destinations.items())
    return f"{', '.join(told)}; whether they are taken there was not tried"


async def _check_model(settings: Settings, name: ModelName) -> str:
    """Ask one model of the chain by itself, without what is around it elsewhere."""
    async with open_model(settings, name) as model:
        load_intent_classifier(settings, load_intents(), model, await load_prompts(settings))
        request = ModelRequest(
            tenant_id=DEFAULT_TENANT,
            instructions="You answer in one word.",
            utterances=(Utterance(role=Role.USER, parts=(Text(text=QUESTION),)),),
            deadline=now() + timedelta(seconds=settings.deadline_seconds),
            max_output_tokens=ANSWER_TOKENS,
            temperature=0.0,
        )
        started = time.perf_counter()
        await model.generate(request)
        seconds = time.perf_counter() - started
        return f"{one_in_words(settings, name)} answered in {seconds:.1f} s"
