"""Stopping `prosa serve`: the app hears of it when the signal comes, beside the server."""

import asyncio
import contextlib
import gc
import os
import signal
from collections.abc import Iterator
from types import FrameType

import httpx
import pytest

from prosa.entrypoints.cli import serve
from prosa.entrypoints.http.parts import Parts
from prosa.settings import Settings
from tests.entrypoints.http.serving import parts_with, problem_in


@pytest.fixture
def signals() -> Iterator[list[int]]:
    """What the server is told, in place of what it would do."""
    told: list[int] = []

    def keep(number: int, _frame: FrameType | None) -> None:
        told.append(number)

    before = {number: signal.signal(number, keep) for number in (signal.SIGTERM, signal.SIGINT)}
    threshold = gc.get_threshold()
    yield told
    for number, action in before.items():
        signal.signal(number, action)
    gc.unfreeze()
    gc.set_threshold(*threshold)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_from_the_signal_on_no_turn_is_taken_and_the_server_is_told_too(
    signals: list[int], number: signal.Signals
) -> None:
    def opened() -> contextlib.AbstractAsyncContextManager[Parts]:
        return contextlib.nullcontext(parts_with())

    app = serve._app(Settings(), "prosa", opened)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://prosa") as client,
    ):
        taken = await client.post("/v1/messages", json={"text": "Olá"})
        os.kill(os.getpid(), number)
        await asyncio.sleep(0.01)
        refused = await client.post("/v1/messages", json={"text": "Olá"})
    assert taken.status_code == 200
    assert problem_in(refused)["code"] == "shutting_down"
    assert signals == [number]
