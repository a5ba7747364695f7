"""The breaker alone: what it counts, when it rests, whom it lets through."""

import asyncio
import logging

import pytest

from prosa.adapters.resilience.circuit_breaker import (
    PROBE_SECONDS,
    BreakerMoved,
    BreakerState,
    CircuitBreaker,
)
from prosa.adapters.resilience.error_table import Outcome
from prosa.application.ports.language_model import CircuitOpen
from prosa.testing.builders import NOON
from tests.adapters.resilience.models import FAILURES, REST

CLOSED, OPEN, HALF_OPEN = BreakerState.CLOSED, BreakerState.OPEN, BreakerState.HALF_OPEN


class Watched:
    """A breaker with a timer of the test's own."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.moves: list[BreakerMoved] = []
        self.breaker = CircuitBreaker(
            "openai:x",
            failures=FAILURES,
            rest_seconds=REST,
            clock=lambda: NOON,
            timer=lambda: self.now,
            on_move=self.moves.append,
        )

    def call(self, *outcomes: Outcome) -> None:
        for outcome in outcomes:
            self.breaker.record(self.breaker.admit(), outcome)

    def opened(self) -> "Watched":
        self.call(*[Outcome.FAILURE] * FAILURES)
        return self

    def rested(self) -> "Watched":
        self.now += REST
        return self

    @property
    def state(self) -> BreakerState:
        return self.breaker.view().state

    @property
    def failures(self) -> int:
        return self.breaker.view().failures

    def refuses(self) -> float:
        with pytest.raises(CircuitOpen) as refused:
            self.breaker.admit()
        return refused.value.retry_after


def test_it_opens_after_so_many_failures_in_a_row() -> None:
    watched = Watched()
    watched.call(*[Outcome.FAILURE] * (FAILURES - 1))
    assert watched.state is CLOSED
    assert watched.failures == FAILURES - 1
    watched.call(Outcome.FAILURE)
    assert watched.state is OPEN


def test_a_success_begins_the_count_anew() -> None:
    watched = Watched()
    watched.call(*[Outcome.FAILURE] * (FAILURES - 1), Outcome.SUCCESS)
    assert watched.failures == 0
    watched.call(*[Outcome.FAILURE] * (FAILURES - 1))
    assert watched.state is CLOSED


def test_a_neutral_outcome_keeps_the_count() -> None:
    watched = Watched()
    watched.call(*[Outcome.FAILURE] * (FAILURES - 1), Outcome.NEUTRAL, Outcome.FAILURE)
    assert watched.state is OPEN


def test_a_hopeless_failure_opens_it_at_once_and_a_success_closes_it() -> None:
    watched = Watched()
    watched.call(Outcome.HOPELESS)
    assert watched.state is OPEN
    assert watched.failures == 1
    watched.rested().call(Outcome.SUCCESS)
    assert watched.state is CLOSED
    assert watched.failures == 0


def test_a_hopeless_failure_that_is_also_the_last_of_a_row_opens_it_once() -> None:
    watched = Watched()
    watched.call(*[Outcome.FAILURE] * (FAILURES - 1), Outcome.HOPELESS)
    assert [move.after for move in watched.moves] == [OPEN]


def test_open_it_refuses_and_says_for_how_long() -> None:
    watched = Watched().opened()
    assert watched.refuses() == REST
    watched.now += 10
    assert watched.refuses() == REST - 10
    assert watched.breaker.view().retry_after == REST - 10


def test_after_the_rest_one_success_closes_it() -> None:
    watched = Watched().opened().rested()
    assert watched.state is OPEN
    assert watched.breaker.view().retry_after == 0
    watched.call(Outcome.SUCCESS)
    assert watched.state is CLOSED


def test_after_the_rest_one_failure_opens_it_for_another() -> None:
    watched = Watched().opened().rested()
    watched.call(Outcome.FAILURE)
    assert watched.state is OPEN
    assert watched.refuses() == REST


def test_one_probe_of_fifty_goes_through() -> None:
    watched = Watched().opened().rested()
    probe = watched.breaker.admit()
    assert [watched.refuses() for _ in range(49)] == [PROBE_SECONDS] * 49
    watched.breaker.record(probe, Outcome.SUCCESS)
    watched.call(Outcome.SUCCESS)


def test_a_probe_that_says_nothing_leaves_its_place_to_another() -> None:
    watched = Watched().opened().rested()
    watched.call(Outcome.NEUTRAL)
    assert watched.state is HALF_OPEN
    assert watched.breaker.view().retry_after == 0
    watched.call(Outcome.SUCCESS)
    assert watched.state is CLOSED


@pytest.mark.parametrize("late", [Outcome.SUCCESS, Outcome.FAILURE, Outcome.HOPELESS])
def test_what_was_asked_before_it_opened_does_not_decide_the_probe(late: Outcome) -> None:
    watched = Watched()
    slow = watched.breaker.admit()
    watched.opened().rested()
    probe = watched.breaker.admit()
    watched.breaker.record(slow, late)
    assert watched.state is HALF_OPEN
    watched.refuses()
    watched.breaker.record(probe, Outcome.SUCCESS)
    assert watched.state is CLOSED


def test_a_late_success_does_not_close_an_open_one() -> None:
    watched = Watched()
    slow = watched.breaker.admit()
    watched.opened().breaker.record(slow, Outcome.SUCCESS)
    assert watched.state is OPEN


def test_a_late_failure_does_not_count_after_it_closed_again() -> None:
    watched = Watched()
    slow = watched.breaker.admit()
    watched.opened().rested().call(Outcome.SUCCESS)
    watched.breaker.record(slow, Outcome.FAILURE)
    assert watched.failures == 0


def test_late_failures_do_not_lengthen_the_rest() -> None:
    watched = Watched()
    slow = watched.breaker.admit()
    watched.opened()
    watched.now += REST - 1
    watched.breaker.record(slow, Outcome.FAILURE)
    assert watched.refuses() == 1


def test_looking_moves_nothing() -> None:
    watched = Watched().opened().rested()
    for _ in range(3):
        assert watched.state is OPEN
    assert len(watched.moves) == 1


async def test_its_rest_is_not_by_the_wall_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched().opened()
    # As if the machine's clock were set: pybreaker reads it, and nobody should ask pybreaker.
    monkeypatch.setattr("pybreaker.datetime", None)
    await asyncio.sleep(2 * REST)
    assert watched.refuses() == REST


def test_each_move_is_told_and_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "prosa"):
        Watched().opened()
        watched = Watched().opened().rested()
        watched.call(Outcome.SUCCESS)
    assert [(move.before, move.after) for move in watched.moves] == [
        (CLOSED, OPEN),
        (OPEN, HALF_OPEN),
        (HALF_OPEN, CLOSED),
    ]
    assert all(move.model == "openai:x" and move.at == NOON for move in watched.moves)
    assert [record.levelname for record in caplog.records] == ["WARNING", "WARNING", "INFO"]
    assert "openai:x is not asked for 30 s" in caplog.text


def test_it_says_how_it_is_in_words() -> None:
    watched = Watched()
    assert watched.breaker.view().in_words() == "circuit closed, failures in a row: 0"
    watched.opened()
    assert watched.breaker.view().in_words() == (
        "circuit open, failures in a row: 5; asked again in 30 s"
    )
    watched.rested().breaker.admit()
    assert watched.breaker.view().in_words().startswith("circuit half-open")
