"""What is asked in one round of the event loop is answered together."""

import asyncio
from collections.abc import Sequence

import pytest

from prosa.adapters.sql.gathering import MOST_TOGETHER, Gathering
from tests.waiting import until


class Answering:
    """Answers a number with its double, once it may; keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Sequence[int]] = []
        self.may = asyncio.Event()
        self.may.set()
        self.cancelled = False

    async def __call__(self, numbers: Sequence[int]) -> Sequence[int]:
        self.asked.append(numbers)
        try:
            await self.may.wait()
        except asyncio.CancelledError:
            self.cancelled = True
            raise
        if 13 in numbers:
            raise ValueError("an unlucky number")
        return [2 * number for number in numbers]


@pytest.fixture
async def answering() -> Answering:
    return Answering()


@pytest.fixture
async def gathering(answering: Answering) -> Gathering[int, int]:
    return Gathering(answering)


async def test_who_asks_at_once_is_answered_together_each_with_its_own(
    gathering: Gathering[int, int], answering: Answering
) -> None:
    assert await asyncio.gather(*map(gathering.ask, (1, 2, 3))) == [2, 4, 6]
    assert answering.asked == [[1, 2, 3]]


async def test_who_asks_later_waits_for_nobody(
    gathering: Gathering[int, int], answering: Answering
) -> None:
    answering.may.clear()
    first = asyncio.create_task(gathering.ask(1))
    await until_asked(answering, 1)
    second = asyncio.create_task(gathering.ask(2))
    await until_asked(answering, 2)
    answering.may.set()
    assert (await first, await second) == (2, 4)
    assert answering.asked == [[1], [2]]


async def test_no_group_is_larger_than_it_may_be(
    gathering: Gathering[int, int], answering: Answering
) -> None:
    numbers = range(100, 101 + 2 * MOST_TOGETHER)
    assert await asyncio.gather(*map(gathering.ask, numbers)) == [2 * one for one in numbers]
    assert [len(asked) for asked in answering.asked] == [MOST_TOGETHER, MOST_TOGETHER, 1]


async def test_a_failure_is_told_to_all_of_its_group_and_to_nobody_else(
    gathering: Gathering[int, int],
) -> None:
    failed = await asyncio.gather(gathering.ask(12), gathering.ask(13), return_exceptions=True)
    assert [type(one) for one in failed] == [ValueError, ValueError]
    assert await gathering.ask(14) == 28


async def test_who_gives_up_before_it_is_asked_is_not_asked_for(
    gathering: Gathering[int, int], answering: Answering
) -> None:
    one, other = (asyncio.ensure_future(gathering.ask(number)) for number in (1, 2))
    await asyncio.sleep(0)
    one.cancel()
    assert await other == 4
    assert answering.asked == [[2]]
    alone = asyncio.ensure_future(gathering.ask(3))
    await asyncio.sleep(0)
    alone.cancel()
    await asyncio.wait([alone])
    assert await gathering.ask(4) == 8
    assert answering.asked == [[2], [4]]


async def test_the_answer_is_given_up_when_the_last_who_waits_for_it_has(
    gathering: Gathering[int, int], answering: Answering
) -> None:
    answering.may.clear()
    asking = [asyncio.create_task(gathering.ask(number)) for number in (1, 2)]
    await until_asked(answering, 1)
    for one in asking:
        assert not answering.cancelled
        one.cancel()
        await asyncio.wait([one])
        await asyncio.sleep(0)
    assert answering.cancelled


async def test_who_still_waits_is_answered_when_another_has_given_up(
    gathering: Gathering[int, int], answering: Answering
) -> None:
    answering.may.clear()
    one, other = (asyncio.create_task(gathering.ask(number)) for number in (1, 2))
    await until_asked(answering, 1)
    one.cancel()
    await asyncio.wait([one])
    answering.may.set()
    assert await other == 4


async def until_asked(answering: Answering, times: int) -> None:
    await until(lambda: len(answering.asked) == times)
