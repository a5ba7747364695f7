"""What is known of one request beside its body: the ids to find it by, and what it brought."""

import os
import re
from collections.abc import Iterable, MutableMapping, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from prosa.domain.identifiers import TurnId

Headers = list[tuple[bytes, bytes]]

_KEY = "prosa.request_facts"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._:-]{1,128}")
# W3C Trace Context: version, trace id, parent id, flags; a later version may append more.
_TRACEPARENT = re.compile(r"(?!ff)[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_VERSION_0_LENGTH = 55
_ABSENT = [""]


@dataclass(slots=True, kw_only=True)
class RequestFacts:
    """What a request's headers say, and what is gathered for the answer's while it is served."""

    request_id: str
    trace_id: str
    """32 hexadecimal digits, the caller's own where it sent a `traceparent`."""
    trace_flags: str = "00"
    idempotency_key: str | None = None
    replayed: bool = False
    """Whether the answer was brought about by an earlier request with the same key."""
    turn_id: TurnId | None = None
    """The turn that the request claimed: a later failure names it."""
    sent: dict[bytes, list[str]] = field(default_factory=dict, repr=False)
    """The lines of each header that the request has, by its name in lower case; secrets, too."""

    @classmethod
    def read(cls, headers: Iterable[tuple[bytes, bytes]]) -> "RequestFacts":
        """Take what the client sent where it makes sense, and make the rest."""
        sent: dict[bytes, list[str]] = {}
        for name, value in headers:
            sent.setdefault(name, []).append(value.decode("latin-1"))
        trace_id, flags = _trace_of(sent.get(b"traceparent", _ABSENT)[-1])
        request_id = sent.get(b"x-request-id", _ABSENT)[-1]
        sane = _REQUEST_ID.fullmatch(request_id)
        return cls(
            request_id=request_id if sane else os.urandom(16).hex(),
            trace_id=trace_id,
            trace_flags=flags,
            sent=sent,
        )

    def lines(self, name: bytes) -> Sequence[str]:
        """Give the lines of a header, by its name in lower case; none where it was not sent."""
        return self.sent.get(name, ())

    def line(self, name: bytes) -> str:
        """Give the first line of a header, by its name in lower case; empty where there is none."""
        return self.sent.get(name, _ABSENT)[0]

    @property
    def headers(self) -> Headers:
        """What the answer's headers say of it."""
        parent = os.urandom(8).hex()
        headers = [
            (b"x-request-id", self.request_id.encode()),
            (b"traceparent", f"00-{self.trace_id}-{parent}-{self.trace_flags}".encode()),
        ]
        if self.idempotency_key is not None:
            headers.append((b"idempotency-key", self.idempotency_key.encode()))
        if self.replayed:
            headers.append((b"idempotent-replayed", b"true"))
        return headers


def keep_facts(scope: MutableMapping[str, Any], facts: RequestFacts) -> None:
    """Have the facts travel with the request."""
    scope[_KEY] = facts


def facts_of(scope: MutableMapping[str, Any]) -> RequestFacts:
    """Find the facts of a request by its ASGI scope."""
    return cast("RequestFacts", scope[_KEY])


def _trace_of(traceparent: str) -> tuple[str, str]:
    """Read trace id and flags; make a trace where there is none, or none that is valid."""
    match = _TRACEPARENT.fullmatch(traceparent)
    if match is None or match[1].strip("0") == "" or match[2].strip("0") == "":
        return os.urandom(16).hex(), "00"
    if traceparent.startswith("00-") and len(traceparent) != _VERSION_0_LENGTH:
        return os.urandom(16).hex(), "00"
    return match[1], match[3]
