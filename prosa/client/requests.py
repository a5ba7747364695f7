"""The requests of the API: one function for each thing that can be asked for."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import TypedDict, Unpack
from urllib.parse import quote
from uuid import uuid4

EVENT_STREAM = "text/event-stream"
ACCEPT_EVENTS = {"Accept": EVENT_STREAM}
RESPOND_ASYNC = {"Prefer": "respond-async"}

TIME_TO_HEAR = 0.5
"""Seconds of the caller's time that are kept for the answer's way back."""


class ConversationDetails(TypedDict, total=False):
    """What may be said of a conversation that is started.

    `customer_id` is your own reference to the customer, `channel` where they write from, `metadata`
    what you want to find again. `idempotency_key`, 1 to 255 printable ASCII characters, makes a
    request that is repeated the same one; where there is none, one is made for each call.
    """

    customer_id: str | None
    channel: str | None
    metadata: Mapping[str, str] | None
    idempotency_key: str | None


class MessageDetails(ConversationDetails, total=False):
    """What may be said of a message; one without `conversation_id` starts a conversation."""

    conversation_id: str | None


class MessageQuery(TypedDict, total=False):
    """Which messages to list: `order` is `asc` (the default) or `desc`; `after` is a message's id.

    `limit` is how many a page has, 1 to 100.
    """

    limit: int | None
    after: str | None
    order: str | None


class ConversationQuery(MessageQuery, total=False):
    """Which conversations to list, here newest first unless `order` is `asc`.

    `status` is `open` or `closed`; `owner` is `assistant` or `human`.
    """

    status: str | None
    owner: str | None
    customer_id: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A request that is safe to repeat: it reads, or closes, or carries its idempotency key.

    `waits`: its answer takes as long as a turn, which may be told how long that is.
    """

    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    query: Mapping[str, str] = field(default_factory=dict)
    body: Mapping[str, object] | None = None
    waits: bool = False

    def within(self, seconds: float) -> "Request":
        """Ask for an answer in so many seconds, where that can be asked: in whole ones, from 1."""
        if not self.waits:
            return self
        wait = max(1, int(seconds - TIME_TO_HEAR))
        return replace(self, headers={**self.headers, "Prefer": f"wait={wait}"})

    def behind(self, last_id: str) -> "Request":
        """Ask for the next page of a list."""
        return replace(self, query={**self.query, "after": last_id})


def new_message(
    text: str, headers: Mapping[str, str] | None = None, **details: Unpack[MessageDetails]
) -> Request:
    """Send a message; with RESPOND_ASYNC its turn runs behind the answer."""
    key = details.pop("idempotency_key", None)
    return Request(
        method="POST",
        path="/v1/messages",
        headers={**_keyed(key), **(headers or {})},
        body={"text": text, **_given(details)},
        waits=headers != RESPOND_ASYNC,
    )


def new_conversation(**details: Unpack[ConversationDetails]) -> Request:
    """Start a conversation."""
    key = details.pop("idempotency_key", None)
    return Request(
        method="POST", path="/v1/conversations", headers=_keyed(key), body=_given(details)
    )


def conversations(**query: Unpack[ConversationQuery]) -> Request:
    """List conversations."""
    return Request(method="GET", path="/v1/conversations", query=_asked(query))


def conversation(conversation_id: str) -> Request:
    """Read a conversation."""
    return Request(method="GET", path=f"/v1/conversations/{_segment(conversation_id)}")


def closing(conversation_id: str) -> Request:
    """Close a conversation; closing it again changes nothing."""
    return Request(method="POST", path=f"/v1/conversations/{_segment(conversation_id)}/close")


def messages(conversation_id: str, **query: Unpack[MessageQuery]) -> Request:
    """List a conversation's messages."""
    path = f"/v1/conversations/{_segment(conversation_id)}/messages"
    return Request(method="GET", path=path, query=_asked(query))


def turn(turn_id: str) -> Request:
    """Read a turn."""
    return Request(method="GET", path=f"/v1/turns/{_segment(turn_id)}")


def events(turn_id: str, last_event_id: int) -> Request:
    """Hear a turn's events behind one of them, or all of them behind 0."""
    headers = {**ACCEPT_EVENTS, "Last-Event-ID": str(last_event_id)}
    return Request(
        method="GET",
        path=f"/v1/turns/{_segment(turn_id)}/events",
        headers=headers if last_event_id else ACCEPT_EVENTS,
    )


def _keyed(idempotency_key: str | None) -> dict[str, str]:
    """Name the request, once for all times that it is sent."""
    return {"Idempotency-Key": idempotency_key or uuid4().hex}


def _given(values: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in values.items() if value is not None}


def _asked(query: ConversationQuery | MessageQuery) -> dict[str, str]:
    return {name: str(value) for name, value in _given(query).items()}


def _segment(identifier: str) -> str:
    """Have an identifier be one part of a path, whatever is in it."""
    return quote(identifier, safe="")
