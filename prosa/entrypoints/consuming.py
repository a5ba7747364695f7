"""Consumes what channels push: a turn for each message, in the order of each group."""

import asyncio
import logging
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from itertools import chain
from typing import TYPE_CHECKING

from pydantic import ValidationError

from prosa.application.accept_turn import CustomerMessage
from prosa.application.deliver_reply import DeliverReply
from prosa.application.ports.message_queue import MessageQueue, MessageQueueError, ReceivedMessage
from prosa.bootstrap.moments import now
from prosa.domain.errors import (
    ConversationBusy,
    ConversationClosed,
    ConversationNotFound,
    InvalidField,
    KeyReused,
    MessageTooLong,
    ProsaError,
    TurnFailed,
    TurnInProgress,
)
from prosa.domain.identifiers import TenantId
from prosa.domain.turn import TurnOutcome
from prosa.entrypoints.channel_messages import MessageReceived, MessageReceivedData
from prosa.entrypoints.elsewhere import FailedElsewhereError, TakeTurnElsewhere
from prosa.entrypoints.field_errors import field_error

if TYPE_CHECKING:
    from prosa.adapters.opentelemetry.telemetry import Telemetry
    from prosa.bootstrap import App

TakesTurns = Callable[[CustomerMessage], Awaitable[TurnOutcome]]
"""Takes a customer's message in and brings a reply out, here or elsewhere."""

FIRST_PAUSE = 10.0
LONGEST_PAUSE = 300.0
"""Seconds until a message is tried again: doubled each time, up to the longest."""


REFUSED_REMEMBERED = 1_000
"""Of how many refused messages to remember that their refusal is in the log."""


class MalformedMessageError(Exception):
    """A body is no message of a channel. It names fields, and repeats nothing of theirs."""

    def __init__(self, invalid: ValidationError) -> None:
        found = (field_error(one, _KNOWN_NAMES, _ALLOWED) for one in invalid.errors())
        super().__init__(", ".join(dict.fromkeys(one.detail for one in found)))


REFUSALS = (
    ConversationClosed,
    ConversationNotFound,
    InvalidField,
    KeyReused,
    MalformedMessageError,
    MessageTooLong,
    TurnFailed,
)
"""What a message fails of for good: trying it again brings the same."""

_OURS = (FailedElsewhereError, MalformedMessageError, ProsaError)
"""Errors whose words are ours, and quote nobody."""

_ALLOWED = {"data": tuple(MessageReceivedData.model_fields)}
_KNOWN_NAMES = frozenset(MessageReceived.model_fields).union(*_ALLOWED.values())

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Unconsumed:
    """A message that stays in its queue, and after how many seconds to try it again."""

    message: ReceivedMessage
    seconds: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Consumed:
    """How many messages had their effect, and how many stay in the queue for now."""

    consumed: int = 0
    left: int = 0

    def __add__(self, other: "Consumed") -> "Consumed":
        """Count both."""
        return Consumed(consumed=self.consumed + other.consumed, left=self.left + other.left)


class ConsumeMessages:
    """Takes the turn of each message, and delivers its reply where replies are delivered."""

    def __init__(
        self,
        take_turn: TakesTurns,
        deliver_reply: DeliverReply | None = None,
        telemetry: "Telemetry | None" = None,
    ) -> None:
        self._take_turn = take_turn
        self._deliver_reply = deliver_reply
        self._telemetry = telemetry
        self._refused: deque[str] = deque(maxlen=REFUSED_REMEMBERED)

    async def __call__(self, messages: Sequence[ReceivedMessage]) -> tuple[Unconsumed, ...]:
        """Consume messages, the groups beside each other; return what did not have its effect.

        A group stops at its first failure that may pass, so that nothing overtakes it. A message
        that is refused for good is left behind alone: it has no effect that could be overtaken.
        Having consumed a message twice is as having consumed it once.
        """
        groups: defaultdict[str, list[ReceivedMessage]] = defaultdict(list)
        for message in messages:
            groups[message.group].append(message)
        left = await asyncio.gather(*map(self._consume_group, groups.values()))
        return tuple(chain.from_iterable(left))

    async def _consume_group(self, messages: Sequence[ReceivedMessage]) -> list[Unconsumed]:
        left: list[Unconsumed] = []
        for place, message in enumerate(messages):
            try:
                await self.one(message)
            except REFUSALS as error:
                self._log_refusal(message, error)
                left.append(Unconsumed(message=message, seconds=0.0))
            except Exception as error:  # noqa: BLE001 - a bug in one turn must not end the others
                seconds = _pause(message, error)
                _log_failure(message, error, seconds)
                return left + [Unconsumed(message=it, seconds=seconds) for it in messages[place:]]
        return left

    def _log_refusal(self, message: ReceivedMessage, error: Exception) -> None:
        """Say it once: until it is a dead letter, it is received again and again in a second."""
        again = message.id in self._refused
        if not again:
            self._refused.append(message.id)
        logger.log(
            logging.DEBUG if again else logging.ERROR,
            "message %s, received %s, is refused, and left for the dead-letter queue: %s",
            message.id,
            _times(message),
            reason_of(error),
        )

    async def one(self, message: ReceivedMessage) -> None:
        """Consume a message. Raises REFUSALS, and anything else where it may pass."""
        with _seen(message, self._telemetry):
            await self._take_its_turn(message)

    async def _take_its_turn(self, message: ReceivedMessage) -> None:
        received = _read(message)
        outcome = await self._take_turn(received.as_customer_message())
        if self._deliver_reply is not None:
            await self._deliver_reply(TenantId(received.tenantid), outcome.turn)


def consume_messages_of(app: "App") -> ConsumeMessages:
    """Have messages take their turns where PROSA_TURN_RUNNER says."""
    take_turn: TakesTurns = app.take_turn
    if app.run_elsewhere is not None:
        take_turn = TakeTurnElsewhere(
            accept=app.take_turn.accept,
            run_elsewhere=app.run_elsewhere,
            reader=app.conversations,
            clock=now,
        )
    return ConsumeMessages(take_turn, app.deliver_reply, app.telemetry)


async def consume_batch(queue: MessageQueue, consume: ConsumeMessages) -> Consumed:
    """Consume what is due, at most a batch. Raises MessageQueueError where nothing was received."""
    messages = await queue.receive()
    left = {one.message.id: one.seconds for one in await consume(messages)}
    await asyncio.gather(*(_settle(queue, message, left) for message in messages))
    return Consumed(consumed=len(messages) - len(left), left=len(left))


async def _settle(queue: MessageQueue, message: ReceivedMessage, left: Mapping[str, float]) -> None:
    """Delete a message or put it back; where that fails, it comes again by itself."""
    try:
        if message.id in left:
            await queue.put_back(message, seconds=left[message.id])
        else:
            await queue.delete(message)
    except MessageQueueError as error:
        logger.warning("message %s comes again, since the queue failed: %s", message.id, error)


def _seen(
    message: ReceivedMessage, telemetry: "Telemetry | None"
) -> AbstractContextManager[object]:
    """Give what comes of a message a span, where somebody wants one."""
    if telemetry is None:
        return nullcontext()
    from prosa.adapters.opentelemetry.messages import consuming  # noqa: PLC0415 - an extra

    return consuming(telemetry.tracing, message)


def _pause(message: ReceivedMessage, error: Exception) -> float:
    if isinstance(error, ConversationBusy | TurnInProgress):
        return error.retry_after
    return min(FIRST_PAUSE * 2.0 ** (message.receives - 1), LONGEST_PAUSE)


def _log_failure(message: ReceivedMessage, error: Exception, seconds: float) -> None:
    logger.log(
        logging.WARNING if isinstance(error, _OURS) else logging.ERROR,
        "message %s, received %s, is tried again after %.0f s: %s",
        message.id,
        _times(message),
        seconds,
        reason_of(error),
    )


def _times(message: ReceivedMessage) -> str:
    return "1 time" if message.receives == 1 else f"{message.receives} times"


def reason_of(error: Exception) -> str:
    """Say why without a word of the message: of what is no error of ours, its class only."""
    return str(error) if isinstance(error, _OURS) else type(error).__name__


def _read(message: ReceivedMessage) -> MessageReceived:
    try:
        return MessageReceived.model_validate_json(message.body)
    except ValidationError as error:
        # Without the cause: it shows what was put in.
        raise MalformedMessageError(error) from None
