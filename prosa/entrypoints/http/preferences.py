"""How a client wants its answer: plain, as a stream of events, or later."""

import re
from collections.abc import Iterable, Iterator, Mapping, MutableMapping
from dataclasses import dataclass, replace
from typing import Any

EVENT_STREAM = "text/event-stream"
JSON = "application/json"

_WITHIN = "prosa.answer_within_seconds"
_WAIT = re.compile(r"wait\s*=\s*\"?([0-9]{1,9})\"?")
_QUALITY = re.compile(r";\s*q\s*=\s*([0-9.]+)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Preferences:
    """What `Accept` and `Prefer` (RFC 7240) ask for; what they ask and we do not know is ignored.

    `wait_seconds` is how long the client is willing to wait.
    """

    stream: bool = False
    respond_async: bool = False
    wait_seconds: float | None = None

    def within(self, seconds: float, *, later: bool) -> "Preferences":
        """Ask for what can be had in so many seconds, with nothing going on behind the answer.

        `later` says whether a turn goes on then all the same, elsewhere.
        """
        wait_seconds = seconds if self.wait_seconds is None else min(seconds, self.wait_seconds)
        respond_async = self.respond_async and later
        return replace(self, respond_async=respond_async, wait_seconds=wait_seconds)


_PLAIN = Preferences()


def require_answer_within(scope: MutableMapping[str, Any], seconds: float) -> None:
    """Have a request, by its ASGI scope, answered in so many seconds; nothing may go on then.

    That is for servers which end, or freeze, with the answer.
    """
    scope[_WITHIN] = seconds


def answer_within(scope: Mapping[str, Any]) -> float | None:
    """Say in how many seconds a request has to be answered, None where nobody said so."""
    seconds: float | None = scope.get(_WITHIN)
    return seconds


def read_preferences(accept: str, prefer: Iterable[str]) -> Preferences:
    """Read both headers. A client that accepts nothing but a stream gets one, preferred or not."""
    stream = _wants_stream(accept.lower())
    asked = [preference for line in prefer for preference in _preferences_in(line)]
    if not asked:
        return Preferences(stream=True) if stream else _PLAIN
    return Preferences(
        stream=stream,
        respond_async="respond-async" in asked and not stream,
        wait_seconds=next(filter(None, map(_seconds, asked)), None),
    )


def _preferences_in(line: str) -> Iterator[str]:
    """List the preferences of a line, without their parameters."""
    for preference in line.lower().split(","):
        yield preference.partition(";")[0].strip()


def _seconds(preference: str) -> float | None:
    wait = _WAIT.fullmatch(preference)
    return float(wait[1]) if wait else None


def _wants_stream(accept: str) -> bool:
    """Whether a stream is acceptable, and no less welcome than JSON."""
    if EVENT_STREAM not in accept:
        return False
    qualities = dict(map(_quality, accept.split(",")))
    stream = qualities.get(EVENT_STREAM, 0.0)
    return stream > 0 and stream >= qualities.get(JSON, 0.0)


def _quality(accepted: str) -> tuple[str, float]:
    """Read one media type of `Accept` with its quality, 1 where it names none."""
    quality = _QUALITY.search(accepted)
    try:
        weight = float(quality[1]) if quality else 1.0
    except ValueError:
        weight = 0.0
    return accepted.partition(";")[0].strip(), weight
