"""A limit: what takes too long ends, in the words of whoever set it; all else stays what it is."""

import asyncio

import pytest

from prosa.application.limit import Limit

LONG = 60.0


class LateError(Exception):
    """It took too long."""


async def interrupted(error: Exception) -> None:
    """Wait until cancelled, and raise an error in its place."""
    try:
        await asyncio.sleep(LONG)
    except asyncio.CancelledError:
        raise error from None


async def test_what_takes_too_long_ends_and_is_late() -> None:
    with pytest.raises(LateError) as raised:
        async with Limit(0, LateError):
            await asyncio.sleep(LONG)
    assert isinstance(raised.value.__cause__, TimeoutError)


async def test_what_had_to_be_over_before_it_began_is_late() -> None:
    with pytest.raises(LateError):
        async with Limit(-1, LateError):
            await asyncio.sleep(LONG)


async def test_what_is_in_time_is_left_alone_then_and_later() -> None:
    async with Limit(0, LateError):
        pass
    await asyncio.sleep(0.01)


async def test_a_timeout_of_something_else_stays_one() -> None:
    with pytest.raises(TimeoutError):
        async with Limit(LONG, LateError):
            raise TimeoutError


async def test_a_timeout_by_which_something_within_tells_of_the_limit_is_late() -> None:
    with pytest.raises(LateError):
        async with Limit(0, LateError):
            await interrupted(TimeoutError())


async def test_what_fails_of_its_own_as_it_ends_stays_what_it_is() -> None:
    with pytest.raises(KeyError):
        async with Limit(0, LateError):
            await interrupted(KeyError())


async def test_what_may_take_longer_after_all_is_never_late() -> None:
    async with Limit(0, LateError) as limit:
        limit.lift()
        await asyncio.sleep(0.01)


async def test_what_is_late_already_is_late_whoever_lifts_the_limit() -> None:
    limit = Limit(0, LateError)

    async def lifted_too_late() -> None:
        try:
            await asyncio.sleep(LONG)
        finally:
            limit.lift()

    with pytest.raises(LateError):
        async with limit:
            await lifted_too_late()


async def test_of_two_limits_that_are_over_at_once_the_outer_one_speaks() -> None:
    with pytest.raises(LateError):
        async with Limit(0, LateError), Limit(0, KeyError):
            await asyncio.sleep(LONG)


async def test_who_was_late_once_may_go_on_and_be_late_again() -> None:
    for _ in range(2):
        with pytest.raises(LateError):
            async with Limit(0, LateError):
                await asyncio.sleep(LONG)
    await asyncio.sleep(0)


async def limited(seconds: float) -> None:
    async with Limit(seconds, LateError):
        await asyncio.sleep(LONG)


async def test_being_cancelled_by_somebody_else_stays_so() -> None:
    task = asyncio.create_task(limited(LONG))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_being_cancelled_by_somebody_else_at_the_very_end_stays_so() -> None:
    task = asyncio.create_task(limited(0))
    await asyncio.sleep(0)
    asyncio.get_running_loop().call_later(0, task.cancel)
    with pytest.raises(asyncio.CancelledError):
        await task
