"""What HTTP adds to chat completions: server-sent events, and when to try again."""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

DONE = b"[DONE]"
"""The last event of a stream."""

LONGEST_RETRY_AFTER = 86_400.0
"""Seconds; a provider that asks for more than a day has not said anything useful."""


class EventStream:
    """Cuts a stream of server-sent events into what follows each `data:`.

    Bytes may be cut anywhere, within a character too. Comments (keep-alives) and other fields are
    left out. Every line is an event of its own: no server splits JSON over lines.
    """

    def __init__(self) -> None:
        self._rest: list[bytes] = []

    def feed(self, piece: bytes) -> list[bytes]:
        """Add what came in and take the events that are complete."""
        complete, newline, rest = piece.rpartition(b"\n")
        if not newline:
            # Joined only once, however many pieces a line comes in.
            self._rest.append(piece)
            return []
        lines = b"".join((*self._rest, complete)).split(b"\n")
        self._rest = [rest]
        return [line[5:].strip() for line in lines if line.startswith(b"data:")]


def retry_after(headers: Mapping[str, str], now: datetime) -> float | None:
    """Read after how many seconds to try again; None where the provider said nothing useful.

    `Retry-After` is a number of seconds or an HTTP date (RFC 9110); OpenAI also sends milliseconds
    in `retry-after-ms`.
    """
    milliseconds = _number(headers.get("retry-after-ms", ""))
    if milliseconds is not None:
        return _useful(milliseconds / 1000)
    text = headers.get("retry-after", "")
    seconds = _number(text)
    return _useful(seconds if seconds is not None else _seconds_until(text, now))


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _seconds_until(date: str, now: datetime) -> float:
    try:
        moment = parsedate_to_datetime(date)
    except ValueError:
        return math.nan
    if moment.tzinfo is None:
        # "-0000", by RFC 5322: UTC, with nothing known of the sender's own zone.
        moment = moment.replace(tzinfo=UTC)
    return (moment - now).total_seconds()


def _useful(seconds: float) -> float | None:
    """Drop what is negative, not a number, or absurd."""
    return seconds if 0 <= seconds <= LONGEST_RETRY_AFTER else None
