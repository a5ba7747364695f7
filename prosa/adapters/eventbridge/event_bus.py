"""Amazon EventBridge as the event bus.

The event's CloudEvents object is the `detail`; its source and its type are what rules match on.
"""

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from prosa.adapters.aws_client import AwsClient, AwsFailure, FailureKind, TimeLimits
from prosa.adapters.eventbridge.wire_format import Entry, batches_of, entry_of
from prosa.application.ports.event_bus import (
    LONGEST_PUBLISH_SECONDS,
    EventBus,
    EventBusError,
    PublishedEvent,
    RefusedEvent,
    TryAgain,
)

DEFAULT_BUS = "default"
"""The bus that every account has in every region."""

LOOK_SECONDS = 300.0
"""How long a bus that was there is taken to be there still."""

LIMITS = TimeLimits()
"""Of one request."""

LAST_REQUEST_SECONDS = LONGEST_PUBLISH_SECONDS - LIMITS.call
"""How long after the first request of several the last one may begin."""

_PASSING = frozenset({"InternalException", "InternalFailure", "ThrottlingException"})
_FOR_GOOD = frozenset({"InvalidArgument", "MalformedDetail"})
"""Codes of single entries that may be taken later, and of those that never will be.

https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsResultEntry.html
"""


class EventBridgeEventBus(EventBus):
    """A bus of this account and region, by its name. Close it with `close`.

    EventBridge reports success for a bus that does not exist, and drops the events
    (https://github.com/aws/aws-sdk/issues/186). So the bus is looked for before anything is put on
    it, and again every five minutes: that needs `events:DescribeEventBus` beside
    `events:PutEvents`.
    """

    def __init__(
        self,
        name: str = DEFAULT_BUS,
        *,
        limits: TimeLimits = LIMITS,
        timer: Callable[[], float] = time.monotonic,
    ) -> None:
        """`timer` gives seconds that only grow."""
        self._name = name
        self._aws = AwsClient("events", limits)
        self._timer = timer
        self._seen_at: float | None = None

    async def publish(self, events: Sequence[PublishedEvent]) -> tuple[RefusedEvent, ...]:
        """Put the events on the bus, ten a request; what EventBridge did not take is refused.

        Where a request fails after others went well, or the time is up, the events that are left
        are refused, and may be handed over again at once.
        """
        written = [entry_of(event, self._name) for event in events]
        refused = [one for one in written if isinstance(one, RefusedEvent)]
        refused += await self._put_all([one for one in written if isinstance(one, Entry)])
        reasons = {one.id: one for one in refused}
        return tuple(reasons[event.id] for event in events if event.id in reasons)

    def close(self) -> None:
        """Close the connections."""
        self._aws.close()

    async def check(self) -> None:
        """See that the bus is there; the default one always is."""
        if self._name != DEFAULT_BUS:
            await self._call("describe_event_bus", Name=self._name)
        self._seen_at = self._timer()

    async def _put_all(self, entries: Sequence[Entry]) -> list[RefusedEvent]:
        refused: list[RefusedEvent] = []
        began_at, put = self._timer(), 0
        if entries and (self._seen_at is None or began_at - self._seen_at > LOOK_SECONDS):
            await self.check()
        for batch in batches_of(entries):
            if put and self._timer() - began_at > LAST_REQUEST_SECONDS:
                return refused + _left(entries[put:], "EventBridge was too slow to be asked for it")
            try:
                refused += await self._put(batch)
            except EventBusError as error:
                if not put:
                    raise
                return refused + _left(entries[put:], str(error))
            put += len(batch)
        return refused

    async def _put(self, batch: Sequence[Entry]) -> list[RefusedEvent]:
        answer = await self._call("put_events", Entries=[entry.fields for entry in batch])
        results = answer.get("Entries") or ()
        if len(results) != len(batch):
            raise EventBusError(
                f"EventBridge answered for {len(results)} of {len(batch)} events: "
                "it is not known which of them it took"
            )
        return [
            _refused(entry, result)
            for entry, result in zip(batch, results, strict=True)
            if result.get("ErrorCode") or not result.get("EventId")
        ]

    async def _call(self, operation: str, **arguments: object) -> Mapping[str, Any]:
        try:
            return await self._aws.call(operation, **arguments)
        except AwsFailure as error:
            raise EventBusError(self._in_words(error)) from error

    def _in_words(self, failure: AwsFailure) -> str:
        match failure.kind:
            case FailureKind.DENIED:
                return (
                    f"EventBridge does not let this process use the event bus {self._name!r} "
                    f"({failure.code}): it needs credentials, a region, and the permissions "
                    "events:PutEvents and events:DescribeEventBus"
                )
            case FailureKind.MISSING:
                return (
                    f"EventBridge has no event bus {self._name!r} in this account and region "
                    f"({failure.code})"
                )
            case FailureKind.REFUSED:
                return f"EventBridge refused a request ({failure.code})"
            case FailureKind.AWAY:
                return f"EventBridge cannot be reached, or failed ({failure.code})"


def _refused(entry: Entry, result: Mapping[str, Any]) -> RefusedEvent:
    """Say why an entry was not taken, without the words that AWS has for it: they may quote."""
    code = result.get("ErrorCode") or "it gave no reason"
    how = "could not take it now" if code in _PASSING else "did not take it"
    return RefusedEvent(
        id=entry.id,
        reason=f"EventBridge {how} ({code})",
        try_again=TryAgain.NEVER if code in _FOR_GOOD else TryAgain.LATER,
    )


def _left(entries: Sequence[Entry], reason: str) -> list[RefusedEvent]:
    return [
        RefusedEvent(id=entry.id, reason=reason, try_again=TryAgain.AT_ONCE) for entry in entries
    ]
