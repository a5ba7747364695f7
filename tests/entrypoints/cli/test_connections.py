"""How long a connection may bring no request, in virtual time."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import RequestResponseCycle
from uvicorn.server import ServerState

from prosa.entrypoints.cli.connections import PunctualConnection
from tests.entrypoints.http.serving import app_of, parts_with

SECONDS = PunctualConnection.request_seconds


@dataclass(eq=False)
class Timer:
    when: float
    ring: Callable[[], None]
    cancelled: bool = False

    def cancel(self) -> None:
        self.cancelled = True


class VirtualLoop:
    def __init__(self) -> None:
        self.timers: list[Timer] = []
        self._now = 0.0

    def time(self) -> float:
        return self._now

    def call_later(self, delay: float, ring: Callable[[], None]) -> Timer:
        timer = Timer(self._now + delay, ring)
        self.timers.append(timer)
        return timer

    def go_on_until(self, now: float) -> None:
        while due := [timer for timer in self.timers if timer.when <= now]:
            timer = min(due, key=lambda timer: timer.when)
            self.timers.remove(timer)
            self._now = timer.when
            if not timer.cancelled:
                timer.ring()
        self._now = now


class RecordingTransport(asyncio.Transport):
    cut = False

    def abort(self) -> None:
        self.cut = True

    def close(self) -> None:
        """Do nothing: uvicorn closes what is idle, sooner than this would."""

    def is_closing(self) -> bool:
        return False


def connected() -> tuple[VirtualLoop, PunctualConnection, RecordingTransport]:
    loop, transport = VirtualLoop(), RecordingTransport()
    config = uvicorn.Config(app_of(parts_with()), log_config=None, ws="none")
    connection = PunctualConnection(
        config, ServerState(), {}, cast("asyncio.AbstractEventLoop", loop)
    )
    connection.connection_made(transport)
    return loop, connection, transport


def test_a_connection_that_brings_no_request_is_cut() -> None:
    loop, _, transport = connected()
    loop.go_on_until(SECONDS - 0.1)
    assert not transport.cut
    loop.go_on_until(SECONDS)
    assert transport.cut


def test_each_answer_gives_time_for_another_request() -> None:
    loop, connection, transport = connected()
    for answered_at in (0.6 * SECONDS, 1.2 * SECONDS):
        loop.go_on_until(answered_at)
        connection.on_response_complete()
    loop.go_on_until(2.2 * SECONDS - 0.1)
    assert not transport.cut
    loop.go_on_until(2.2 * SECONDS)
    assert transport.cut


def test_a_connection_that_is_served_for_long_has_its_time_behind_the_answer() -> None:
    loop, connection, transport = connected()
    connection.cycle = cast("RequestResponseCycle", SimpleNamespace(response_complete=False))
    loop.go_on_until(2.5 * SECONDS)
    assert not transport.cut
    connection.cycle.response_complete = True
    connection.on_response_complete()
    loop.go_on_until(3.5 * SECONDS - 0.1)
    assert not transport.cut
    loop.go_on_until(3.5 * SECONDS)
    assert transport.cut


def test_nothing_is_waited_for_once_the_connection_is_gone() -> None:
    loop, connection, transport = connected()
    connection.on_response_complete()
    connection.connection_lost(None)
    assert all(timer.cancelled for timer in loop.timers)
    loop.go_on_until(3 * SECONDS)
    assert not transport.cut
