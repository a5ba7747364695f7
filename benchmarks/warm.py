"""What a warm function adds to the time that the HTTP application itself takes for a request.

Run by itself it is the function: it answers requests, and prints how long each took.
"""

import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Final

import orjson

from benchmarks import children
from benchmarks.figures import Spread, table
from benchmarks.servers import PROSA, Place
from prosa.entrypoints.aws_lambda import http
from tests.entrypoints.aws_lambda.gateway import JSON, Request, get, http_api_event

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

    from prosa.bootstrap import App

_REQUESTS: Final = 300
_ROUNDS: Final = 5
_SECONDS: Final = 120
_AT_MOST_MS: Final = 1.0
_READ: Final = "a read"
_TURN: Final = "a turn"
_SENT: Final = {
    _READ: get("/v1/conversations", "limit=1"),
    _TURN: Request(method="POST", path="/v1/messages", headers=JSON, body='{"text": "Oi"}'),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Warm:
    """Milliseconds a request, a median for each round: of all, of the application, of the relay."""

    rounds: list[dict[str, dict[str, float]]]

    def show(self) -> str:
        """Write the table and the verdict."""
        rows = [
            (name, *(self._spread(name, part).show(2) for part in ("app", "relay", "handler")))
            for name in _SENT
        ]
        head = ("a warm function's request", "ms of the app", "ms of its relay", "ms on top")
        most = max(self._spread(name, "handler").median for name in _SENT)
        verdict = "kept" if most < _AT_MOST_MS else "MISSED"
        return f"{table(head, rows)}\nwanted under {_AT_MOST_MS:g} ms on top: {verdict}"

    def _spread(self, name: str, part: str) -> Spread:
        return Spread.of(one[name][part] for one in self.rounds)


def measure(place: Place) -> Warm:
    """Time a function, in several rounds."""
    settings = {**PROSA.settings(place), "PROSA_MODELS": "scripted"}
    rounds = []
    for _ in range(_ROUNDS):
        printed = children.run(
            children.python("-m", "benchmarks.warm"),
            scratch=place.scratch,
            settings=settings,
            seconds=_SECONDS,
        )
        rounds.append(orjson.loads(printed.splitlines()[-1]))
    return Warm(rounds=rounds)


class _TimedInvocation(http.Invocation):
    """Knows how long the application took for the last request, and the relay behind it."""

    app_seconds = 0.0
    relay_seconds = 0.0

    def __init__(self, served: "ASGIApp", app: "App") -> None:
        async def timed(scope: "Scope", receive: "Receive", send: "Send") -> None:
            begin = time.perf_counter()
            await served(scope, receive, send)
            _TimedInvocation.app_seconds = time.perf_counter() - begin

        super().__init__(timed, app)

    async def _relay(self) -> None:
        begin = time.perf_counter()
        await super()._relay()
        _TimedInvocation.relay_seconds = time.perf_counter() - begin


class _Context:
    """As much of Lambda's context as is asked for."""

    def get_remaining_time_in_millis(self) -> int:
        return 29_000


def _answered(request: Request) -> Mapping[str, float]:
    """Have the function answer, and give the milliseconds of each part."""
    event = http_api_event(request)
    _TimedInvocation.relay_seconds = 0.0
    begin = time.perf_counter()
    returned = http.handler(event, _Context())
    seconds = time.perf_counter() - begin
    assert isinstance(returned, dict)
    assert returned["statusCode"] == 200, returned
    app, relay = _TimedInvocation.app_seconds, _TimedInvocation.relay_seconds
    parts = {"app": app, "relay": relay, "handler": seconds - app - relay}
    return {name: 1000 * part for name, part in parts.items()}


def main() -> int:
    """Answer each kind of request again and again, in turn; print the medians."""
    # The module makes its handler when that is first asked for.
    vars(http)["Invocation"] = _TimedInvocation
    found: dict[str, list[Mapping[str, float]]] = {name: [] for name in _SENT}
    for _ in range(_REQUESTS):
        for name, request in _SENT.items():
            found[name].append(_answered(request))
    medians = {
        name: {part: median(one[part] for one in timed) for part in timed[0]}
        for name, timed in found.items()
    }
    print(orjson.dumps(medians).decode())
    return 0


if __name__ == "__main__":
    sys.exit(main())
