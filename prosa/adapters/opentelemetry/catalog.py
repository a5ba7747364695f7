"""All spans and metrics, with what they say: docs/telemetry.md shows it, and tests hold it true."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from prosa.adapters.opentelemetry import gen_ai_names as gen_ai
from prosa.adapters.opentelemetry import names

_DATABASE: Final = (names.DB_SYSTEM,)
_TURN: Final = (names.TENANT_ID, gen_ai.CONVERSATION_ID, names.TURN_ID, names.TURN_ATTEMPT)
_ATTEMPT: Final = (names.TENANT_ID, names.TURN_ID, names.TURN_ATTEMPT)
_MESSAGE: Final = (
    names.MESSAGING_SYSTEM,
    names.MESSAGING_DESTINATION,
    names.MESSAGING_OPERATION,
    names.MESSAGING_TYPE,
)
_CALL: Final = (gen_ai.OPERATION, gen_ai.PROVIDER, gen_ai.REQUEST_MODEL)


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanEntry:
    """A span: its name, what it is about, and its attributes. Any may have `error.type`."""

    name: str
    says: str
    attributes: Sequence[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricEntry:
    """A metric: what it counts or measures, in which unit, and what its values are told apart by.

    `kind` is `counter`, `histogram` or `gauge`.
    """

    name: str
    kind: str
    unit: str
    says: str
    attributes: Sequence[str] = ()


SPANS: Final = (
    SpanEntry(
        name="POST {route}",
        says="A request to the HTTP API, until its answer has left. Not /healthz, not /readyz.",
        attributes=(names.HTTP_METHOD, names.HTTP_ROUTE, names.HTTP_STATUS),
    ),
    SpanEntry(
        name=names.CONSUME,
        says="What comes of a message from a queue, in the trace of who sent it.",
        attributes=(
            names.MESSAGING_SYSTEM,
            names.MESSAGING_OPERATION,
            names.MESSAGING_TYPE,
            names.MESSAGING_ID,
        ),
    ),
    SpanEntry(name=names.TAKE_TURN, says="A turn that is taken in one go.", attributes=()),
    SpanEntry(
        name=names.ACCEPT,
        says="The door: the guardrail, then the claim of the turn.",
        attributes=(*_TURN, names.TURN_REPLAYED, names.TURN_OUTCOME),
    ),
    SpanEntry(
        name=names.RECOVER,
        says="The claim, or the failure, of a turn that had crashed.",
        attributes=(*_TURN, names.TURN_REPLAYED, names.TURN_OUTCOME),
    ),
    SpanEntry(
        name=names.RUN,
        says="An attempt, from its first step to its end.",
        attributes=(*_TURN, names.TURN_OUTCOME),
    ),
    SpanEntry(
        name=names.CLASSIFY,
        says="The step that finds out what the customer wants.",
        attributes=(*_TURN, names.INTENT, names.INTENT_CONFIDENCE),
    ),
    SpanEntry(
        name=names.GENERATE,
        says="The step that has a model answer. Its event `prosa.fallback` tells that another one "
        "was asked, and `prosa.breaker.moved` that a breaker opened or closed.",
        attributes=(*_TURN, gen_ai.PROMPT_NAME, gen_ai.PROMPT_VERSION, names.PROMPT_DIGEST),
    ),
    SpanEntry(
        name="chat {model}",
        says="One call to a provider: the first one to a model, a retry, or a fallback.",
        attributes=(
            *_TURN,
            *_CALL,
            names.CALL,
            gen_ai.STREAM,
            gen_ai.MAX_TOKENS,
            gen_ai.TEMPERATURE,
            gen_ai.OUTPUT_TYPE,
            gen_ai.RESPONSE_MODEL,
            gen_ai.FINISH_REASONS,
            gen_ai.TIME_TO_FIRST_CHUNK,
            gen_ai.INPUT_TOKENS,
            gen_ai.OUTPUT_TOKENS,
            gen_ai.CACHED_INPUT_TOKENS,
        ),
    ),
    SpanEntry(
        name=names.SCREEN,
        says="A guardrail's judgement of a message or of a piece of a reply.",
        attributes=(names.DIRECTION, names.VERDICT, names.RULES),
    ),
    SpanEntry(
        name=names.RECORD,
        says="The step that stores the reply.",
        attributes=(names.TURN_OUTCOME,),
    ),
    SpanEntry(name=names.FAIL, says="The step that stores a failure.", attributes=()),
    SpanEntry(
        name=names.CONNECT,
        says="Waiting for a connection to the database.",
        attributes=_DATABASE,
    ),
    SpanEntry(name=names.LOAD, says="Loading a conversation.", attributes=_DATABASE),
    SpanEntry(name=names.FIND_KEY, says="Looking for an idempotency key.", attributes=_DATABASE),
    SpanEntry(
        name=names.COMMIT,
        says="Writing all of a unit of work, with its events for the outbox.",
        attributes=_DATABASE,
    ),
    SpanEntry(
        name=names.READ_CONVERSATION,
        says="Reading a conversation's header.",
        attributes=_DATABASE,
    ),
    SpanEntry(name=names.READ_TURN, says="Reading a turn.", attributes=_DATABASE),
    SpanEntry(
        name=names.LIST_CONVERSATIONS, says="Reading a page of conversations.", attributes=_DATABASE
    ),
    SpanEntry(
        name=names.LIST_MESSAGES,
        says="Reading a page of a conversation's messages.",
        attributes=_DATABASE,
    ),
    SpanEntry(
        name=names.HAND_ON,
        says="A turn on its way to the state machine that runs it.",
        attributes=_ATTEMPT,
    ),
    SpanEntry(
        name=f"{names.TASK} {{step}}",
        says="A task of the state machine, in the trace of the door.",
        attributes=_ATTEMPT,
    ),
    SpanEntry(
        name=names.LOAD_ATTEMPT,
        says="Loading what the tasks before have found.",
        attributes=_DATABASE,
    ),
    SpanEntry(
        name=names.SAVE_ATTEMPT,
        says="Saving what a task has found for the next one.",
        attributes=_DATABASE,
    ),
    SpanEntry(
        name=names.FIND_DELIVERY,
        says="Looking whether a reply was delivered before.",
        attributes=_DATABASE,
    ),
    SpanEntry(
        name=names.ADD_DELIVERY, says="Storing that a reply was delivered.", attributes=_DATABASE
    ),
    SpanEntry(
        name=f"{names.PUBLISH} {{type}}",
        says="One event on its way from the outbox to the bus, in the trace that it was stored in.",
        attributes=(*_MESSAGE, names.MESSAGING_ID, names.CLOUD_EVENT_TYPE),
    ),
    SpanEntry(
        name=names.RELAY,
        says="A batch of events that is handed to the bus, linked to each of them.",
        attributes=(*_MESSAGE, names.MESSAGING_BATCH),
    ),
    SpanEntry(
        name=names.SEND_REPLY,
        says="A reply on its way to the queue of its channel.",
        attributes=(names.MESSAGING_SYSTEM, names.MESSAGING_TYPE, names.MESSAGING_ID),
    ),
)

CONTENT: Final = (gen_ai.SYSTEM_INSTRUCTIONS, gen_ai.INPUT_MESSAGES, gen_ai.OUTPUT_MESSAGES)
"""What `chat` has besides, where PROSA_TELEMETRY_CONTENT asks for it."""

METRICS: Final = (
    MetricEntry(
        name=names.TURNS,
        kind="counter",
        unit="{turn}",
        says="Turns that ended: completed, refused, degraded, unanswered (a human has the "
        "conversation) or failed, with the code of the failure.",
        attributes=(names.TURN_OUTCOME, names.ERROR_TYPE),
    ),
    MetricEntry(
        name=names.TURN_DURATION,
        kind="histogram",
        unit="s",
        says="How long turns ran.",
        attributes=(names.TURN_OUTCOME,),
    ),
    MetricEntry(
        name=names.TIME_TO_FIRST_TEXT,
        kind="histogram",
        unit="s",
        says="How long streamed turns ran until the customer could read something.",
    ),
    MetricEntry(
        name=names.RECOVERED_TURNS,
        kind="counter",
        unit="{turn}",
        says="Crashed turns that were run again, or failed.",
        attributes=(names.RECOVERED,),
    ),
    MetricEntry(
        name=gen_ai.USUAL.duration,
        kind="histogram",
        unit="s",
        says="How long calls to models took.",
        attributes=(*_CALL, names.ERROR_TYPE),
    ),
    MetricEntry(
        name=gen_ai.USUAL.time_to_first_chunk,
        kind="histogram",
        unit="s",
        says="How long streamed calls took to begin.",
        attributes=_CALL,
    ),
    MetricEntry(
        name=gen_ai.USUAL.input_tokens,
        kind="histogram",
        unit="{token}",
        says="Tokens of calls, by model, `input` and `output`.",
        attributes=(*_CALL, gen_ai.TYPE_OF_TOKENS),
    ),
    MetricEntry(
        name=names.FALLBACKS,
        kind="counter",
        unit="{fallback}",
        says="How often another model was asked, which, and why.",
        attributes=(names.MODEL, names.FALLBACK_MODEL, names.ERROR_TYPE),
    ),
    MetricEntry(
        name=names.BREAKER_STATE,
        kind="gauge",
        unit="",
        says="0: closed, 1: half open, 2: open.",
        attributes=(names.MODEL,),
    ),
    MetricEntry(
        name=names.BREAKER_MOVES,
        kind="counter",
        unit="{move}",
        says="How often a breaker changed its state.",
        attributes=(names.MODEL, names.BREAKER_BEFORE, names.BREAKER_AFTER),
    ),
    MetricEntry(
        name=names.EVENTS,
        kind="counter",
        unit="{event}",
        says="Events that were published, put off since the bus refused them, or parked.",
        attributes=(names.EVENT_OUTCOME,),
    ),
    MetricEntry(
        name=names.OUTBOX_WAITING,
        kind="gauge",
        unit="{event}",
        says="Events in the outbox that wait for the bus, as the relay counted them last.",
    ),
    MetricEntry(
        name=names.OUTBOX_OLDEST,
        kind="gauge",
        unit="s",
        says="How long the oldest of them waits.",
    ),
    MetricEntry(
        name=names.OUTBOX_PARKED,
        kind="gauge",
        unit="{event}",
        says="Events that were given up, and wait for `prosa relay --parked`.",
    ),
    MetricEntry(
        name=names.REQUEST_DURATION,
        kind="histogram",
        unit="s",
        says="How long requests took, streams until their end.",
        attributes=(names.HTTP_METHOD, names.HTTP_ROUTE, names.HTTP_STATUS),
    ),
)
