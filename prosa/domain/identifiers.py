"""Identifiers: a prefix that says what, and 32 hexadecimal digits that sort by time."""

import re
import secrets
from collections.abc import Callable
from datetime import datetime
from typing import NewType

TenantId = NewType("TenantId", str)
ConversationId = NewType("ConversationId", str)
TurnId = NewType("TurnId", str)
MessageId = NewType("MessageId", str)
EventId = NewType("EventId", str)

Clock = Callable[[], datetime]
"""Tells the present instant, aware, in UTC."""

NewHex = Callable[[], str]
"""Makes 32 hexadecimal digits that were never made before: a UUIDv7 without hyphens."""

DEFAULT_TENANT = TenantId("default")
"""The one tenant of an installation that serves a single company."""

_SHAPE = re.compile(r"(conv|msg|turn|evt)_[0-9a-f]{32}")
_COUNTER_BITS = 12
_RANDOM_BYTES = 8
_BITS_TOO_MANY = 2


def is_identifier(text: str, prefix: str) -> bool:
    """Whether `text` is an identifier of the kind that `prefix` names (`conv`, `turn`, …)."""
    match = _SHAPE.fullmatch(text)
    return match is not None and match[1] == prefix


def time_ordered(clock: Clock) -> NewHex:
    """Make a source of UUIDv7 digits; those of one source ascend, also within a millisecond.

    Layout: RFC 9562 section 5.7, with the counter of section 6.2 (method 1) in `rand_a`.
    """
    last_milliseconds = 0
    counter = 0

    def new_hex() -> str:
        nonlocal last_milliseconds, counter
        milliseconds = int(clock().timestamp() * 1000)
        if milliseconds > last_milliseconds:
            last_milliseconds, counter = milliseconds, 0
        else:
            counter += 1
            last_milliseconds += counter >> _COUNTER_BITS
            counter &= (1 << _COUNTER_BITS) - 1
        random = int.from_bytes(secrets.token_bytes(_RANDOM_BYTES)) >> _BITS_TOO_MANY
        return f"{last_milliseconds << 80 | 7 << 76 | counter << 64 | 2 << 62 | random:032x}"

    return new_hex
