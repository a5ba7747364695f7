"""An event as EventBridge takes it: an entry of a PutEvents request, and how large that counts.

Sources: https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsRequestEntry.html
https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-putevents.html
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

import orjson

from prosa.application.ports.event_bus import PublishedEvent, RefusedEvent, TryAgain
from prosa.domain.identifiers import EventId

MAX_ENTRIES = 10
"""Of one request."""

MAX_BYTES = 1_000_000
"""Of one entry and of one request: EventBridge takes what is less than 1 MB."""

MAX_DETAIL_TYPE = 128
"""Characters. EventBridge says that it took an event with more, and drops it."""

TIME_BYTES = 14
"""What EventBridge counts for a time, however it is written."""

_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(?:-.*)?")
_NO_TRACE, _NO_PARENT = "0" * 32, "0" * 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry of a PutEvents request: the event's id, and the fields by AWS's names."""

    id: EventId
    fields: Mapping[str, object]
    size: int
    """As EventBridge counts it, in bytes."""


def entry_of(event: PublishedEvent, bus: str) -> Entry | RefusedEvent:
    """Write an event for a bus, or say why none can take it."""
    envelope = _object(event.envelope)
    source = envelope.get("source")
    if not isinstance(source, str) or not source:
        return _never(event, "its envelope is no CloudEvents object")
    if len(event.type) > MAX_DETAIL_TYPE:
        reason = f"its type has {len(event.type)} characters, and may have {MAX_DETAIL_TYPE}"
        return _never(event, reason)
    moment = _moment(envelope.get("time"))
    size = sum(len(text.encode()) for text in (source, event.type, event.envelope))
    size += TIME_BYTES if moment else 0
    if size >= MAX_BYTES:
        return _never(event, f"as an entry it has {size} bytes, and may have less than {MAX_BYTES}")
    fields = {
        "EventBusName": bus,
        "Source": source,
        "DetailType": event.type,
        "Detail": event.envelope,
        "Time": moment,
        "TraceHeader": trace_header(envelope.get("traceparent")),
    }
    present = {name: value for name, value in fields.items() if value is not None}
    return Entry(id=event.id, fields=present, size=size)


def _never(event: PublishedEvent, reason: str) -> RefusedEvent:
    return RefusedEvent(id=event.id, reason=reason, try_again=TryAgain.NEVER)


def batches_of(entries: Iterable[Entry]) -> Iterator[list[Entry]]:
    """Cut entries, in their order, into what one request may hold."""
    batch: list[Entry] = []
    for entry in entries:
        full = len(batch) == MAX_ENTRIES
        if batch and (full or sum(one.size for one in batch) + entry.size >= MAX_BYTES):
            yield batch
            batch = []
        batch.append(entry)
    if batch:
        yield batch


def trace_header(traceparent: object) -> str | None:
    """Write a W3C traceparent as X-Ray does: None where there is none, or none to be understood.

    Source: https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader
    """
    match = _TRACEPARENT.fullmatch(traceparent) if isinstance(traceparent, str) else None
    if match is None:
        return None
    trace, parent, flags = match.groups()
    if trace == _NO_TRACE or parent == _NO_PARENT:
        return None
    sampled = int(flags, 16) & 1
    return f"Root=1-{trace[:8]}-{trace[8:]};Parent={parent};Sampled={sampled}"


def _object(envelope: str) -> Mapping[str, object]:
    try:
        read = orjson.loads(envelope)
    except orjson.JSONDecodeError:
        return {}
    return read if isinstance(read, dict) else {}


def _moment(written: object) -> datetime | None:
    """Read a time, with its offset; without one EventBridge takes the time of the request."""
    try:
        moment = datetime.fromisoformat(written) if isinstance(written, str) else None
    except ValueError:
        return None
    return moment if moment and moment.tzinfo else None
