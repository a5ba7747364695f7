"""Chores beside a server: done in time, through failures, and to an end. In virtual time."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import pytest

from prosa.application.ports.event_bus import EventBusError
from prosa.bootstrap.parts import Chore
from prosa.entrypoints.loops import LONGEST_PAUSE, SECONDS_AT_END, SECONDS_BETWEEN, doing
from prosa.testing.virtual_time import VirtualTimeLoop


def in_virtual_time(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    """Run a test where hours pass at once."""

    def run() -> None:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            runner.run(test())

    run.__name__ = test.__name__
    return run


class Work:
    """Does nothing, as its script says, and keeps when it did."""

    def __init__(self, *script: str | Exception, seconds: float = 0.0) -> None:
        self.at: list[float] = []
        self._script = list(script)
        self._seconds = seconds

    async def __call__(self) -> bool:
        self.at.append(asyncio.get_running_loop().time())
        await asyncio.sleep(self._seconds)
        step = self._script.pop(0) if self._script else "done"
        if isinstance(step, Exception):
            raise step
        return step == "more"


def chore(work: Work, *, every_seconds: float = 5.0, at_end: bool = False) -> Chore:
    return Chore(name="counting", work=work, every_seconds=every_seconds, at_end=at_end)


@in_virtual_time
async def test_it_is_done_at_once_and_then_every_so_often() -> None:
    work = Work()
    async with doing([chore(work)]):
        await asyncio.sleep(11)
    assert work.at == pytest.approx([0, 5, 10])


@in_virtual_time
async def test_the_doorbell_has_it_done_now() -> None:
    work = Work()
    counting = chore(work)
    async with doing([counting]):
        await asyncio.sleep(1)
        counting.doorbell.set()
        await asyncio.sleep(1)
    assert work.at == pytest.approx([0, 1])


@in_virtual_time
async def test_a_doorbell_that_rings_meanwhile_is_not_missed() -> None:
    work = Work(seconds=1)
    counting = chore(work)
    async with doing([counting]):
        await asyncio.sleep(0.5)
        counting.doorbell.set()
        await asyncio.sleep(2)
    assert work.at == pytest.approx([0, 1])


@in_virtual_time
async def test_while_there_is_more_it_is_done_with_a_short_rest_between() -> None:
    work = Work("more", "more", "done")
    counting = chore(work)
    async with doing([counting]):
        for _ in range(100):
            counting.doorbell.set()
            await asyncio.sleep(SECONDS_BETWEEN / 100)
        await asyncio.sleep(1)
    assert work.at[:3] == pytest.approx([0, SECONDS_BETWEEN, 2 * SECONDS_BETWEEN])


@in_virtual_time
async def test_after_failures_it_waits_longer_each_time_whoever_rings() -> None:
    failure = EventBusError("the bus cannot be reached")
    work = Work(*[failure] * 9)
    counting = chore(work)
    async with doing([counting]):
        while len(work.at) < 10:
            counting.doorbell.set()
            await asyncio.sleep(0.1)
    pauses = [after - before for before, after in zip(work.at, work.at[1:], strict=False)]
    assert 0.5 <= pauses[0] <= 1
    assert LONGEST_PAUSE / 2 <= pauses[-1] <= LONGEST_PAUSE
    assert sum(pauses) > 60


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            EventBusError("the bus is away"),
            "counting failed, and is tried again: the bus is away",
        ),
        (ValueError("a customer's words"), "counting failed: ValueError"),
    ],
    ids=["expected", "unexpected"],
)
def test_a_failure_is_logged_and_ends_nothing(
    caplog: pytest.LogCaptureFixture, error: Exception, said: str
) -> None:
    work = Work(error)

    @in_virtual_time
    async def fail() -> None:
        async with doing([chore(work)]):
            await asyncio.sleep(7)

    fail()
    assert len(work.at) >= 2
    assert [record.getMessage() for record in caplog.records] == [said]


@in_virtual_time
async def test_a_chore_for_the_end_is_done_until_nothing_is_left() -> None:
    at_end, other = Work("done", "more", "more", "done"), Work()
    async with doing([chore(at_end, at_end=True), chore(other)]):
        await asyncio.sleep(1)
    assert len(at_end.at) == 4
    assert len(other.at) == 1


@in_virtual_time
async def test_what_is_being_done_may_end() -> None:
    ended = []

    class Slow(Work):
        async def __call__(self) -> bool:
            more = await super().__call__()
            ended.append(self.at)
            return more

    async with doing([chore(Slow(seconds=1))]):
        await asyncio.sleep(0.5)
    assert len(ended) == 1


@in_virtual_time
async def test_what_takes_too_long_at_the_end_is_broken_off() -> None:
    work = Work(seconds=3600)
    async with doing([chore(work, at_end=True)]):
        await asyncio.sleep(1)
    assert asyncio.get_running_loop().time() == pytest.approx(1 + SECONDS_AT_END)


@in_virtual_time
async def test_without_chores_nothing_runs() -> None:
    async with doing([]):
        pass
