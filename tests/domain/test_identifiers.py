"""Identifiers: UUIDv7 digits that ascend, whatever the clock does."""

from datetime import UTC, datetime, timedelta
from uuid import RFC_4122, UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prosa.domain.identifiers import is_identifier, time_ordered
from prosa.testing.builders import NOON, VirtualClock

A_MILLISECOND = 0.001
MORE_THAN_A_COUNTER_HOLDS = 2**12 + 5


def milliseconds_of(digits: str) -> int:
    return UUID(digits).int >> 80


def test_the_digits_are_a_uuid_of_version_7() -> None:
    digits = VirtualClock().new_hex()
    assert len(digits) == 32
    assert UUID(digits).version == 7
    assert UUID(digits).variant == RFC_4122


def test_the_first_48_bits_are_the_milliseconds_since_1970() -> None:
    clock = VirtualClock(datetime(2026, 3, 2, 12, 0, 0, 123_999, tzinfo=UTC))
    assert milliseconds_of(clock.new_hex()) == 1_772_452_800_123


def test_a_clock_before_2001_gives_all_32_digits() -> None:
    assert len(VirtualClock(datetime(1970, 1, 1, 0, 0, 1, tzinfo=UTC)).new_hex()) == 32


def test_within_a_millisecond_they_ascend() -> None:
    clock = VirtualClock()
    digits = [clock.new_hex() for _ in range(100)]
    assert digits == sorted(set(digits))
    assert {milliseconds_of(each) for each in digits} == {milliseconds_of(digits[0])}


def test_more_than_the_counter_holds_borrow_from_the_next_millisecond() -> None:
    clock = VirtualClock()
    digits = [clock.new_hex() for _ in range(MORE_THAN_A_COUNTER_HOLDS)]
    assert digits == sorted(set(digits))
    assert {UUID(each).version for each in digits} == {7}
    assert milliseconds_of(digits[-1]) == milliseconds_of(digits[0]) + 1


def test_after_borrowing_they_still_ascend_when_the_clock_catches_up() -> None:
    clock = VirtualClock()
    borrowed = [clock.new_hex() for _ in range(MORE_THAN_A_COUNTER_HOLDS)][-1]
    clock.advance(A_MILLISECOND)
    assert clock.new_hex() > borrowed


def test_when_the_clock_goes_back_they_ascend_all_the_same() -> None:
    clock = VirtualClock()
    before = clock.new_hex()
    clock.advance(-3600)
    after = clock.new_hex()
    assert after > before
    assert milliseconds_of(after) == milliseconds_of(before)


def test_a_new_millisecond_begins_a_new_count() -> None:
    clock = VirtualClock()
    first, second = clock.new_hex(), clock.new_hex()
    clock.advance(A_MILLISECOND)
    third = clock.new_hex()
    assert [UUID(each).int >> 64 & 0xFFF for each in (first, second, third)] == [0, 1, 0]


def test_two_sources_in_one_millisecond_give_different_digits() -> None:
    assert VirtualClock().new_hex() != VirtualClock().new_hex()


@settings(deadline=None)
@given(jumps=st.lists(st.integers(-5_000, 5_000), max_size=50))
def test_whatever_the_clock_does_they_ascend(jumps: list[int]) -> None:
    instants = iter([NOON + timedelta(milliseconds=jump) for jump in jumps])
    new_hex = time_ordered(lambda: next(instants))
    digits = [new_hex() for _ in jumps]
    assert digits == sorted(set(digits))


DIGITS = "0198c0de" * 4


@pytest.mark.parametrize("prefix", ["conv", "msg", "turn", "evt"])
def test_an_identifier_is_a_prefix_and_32_digits(prefix: str) -> None:
    assert is_identifier(f"{prefix}_{DIGITS}", prefix)


@pytest.mark.parametrize(
    ("text", "prefix"),
    [
        pytest.param(f"turn_{DIGITS}", "conv", id="another kind"),
        pytest.param(f"user_{DIGITS}", "user", id="no kind of ours"),
        pytest.param(f"conv_{DIGITS.upper()}", "conv", id="capitals"),
        pytest.param(f"conv_{DIGITS[1:]}", "conv", id="a digit too few"),
        pytest.param(f"conv_{DIGITS}0", "conv", id="a digit too many"),
        pytest.param(f"conv_{DIGITS}\n", "conv", id="a line break behind"),
        pytest.param(DIGITS, "conv", id="no prefix"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_nothing_else_is_one(text: str, prefix: str) -> None:
    assert not is_identifier(text, prefix)
