"""Whether a call goes on trying, and the pauses in between."""

import pytest

from prosa.client import Conflict, ServerUnreachable, UnexpectedAnswer
from prosa.client.answers import problem_of, read_retry_after
from prosa.client.errors import Problem, ProblemDocument
from prosa.client.tries import (
    LONGEST_PAUSE_SECONDS,
    SILENCE_SECONDS,
    Tries,
)
from prosa.client.waiting import Patience

BROKEN = ServerUnreachable("it broke off")


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def a_problem(status: int, retry_after: float | None = None, code: str = "x") -> Problem:
    document = ProblemDocument(status=status, code=code, title="T", detail="D.", trace_id="0")
    return problem_of(document, retry_after)


def test_pauses_grow_up_to_a_bound_and_are_left_to_chance() -> None:
    for _ in range(50):
        tries = Tries(1_000, limit=20)
        pauses = [tries.pause_after(BROKEN) for _ in range(10)]
        bounds = [0.5, 1, 2, 4, *[LONGEST_PAUSE_SECONDS] * 6]
        assert all(0 <= pause <= bound for pause, bound in zip(pauses, bounds, strict=True))
    assert len({Tries(9, limit=2).pause_after(BROKEN) for _ in range(10)}) > 5


def test_progress_lets_it_fail_as_often_again() -> None:
    tries = Tries(1_000, limit=2)
    tries.pause_after(BROKEN)
    tries.succeeded()
    tries.pause_after(BROKEN)
    with pytest.raises(ServerUnreachable):
        tries.pause_after(BROKEN)


def test_waiting_for_a_turn_that_runs_counts_as_no_failure() -> None:
    tries = Tries(1_000, limit=1)
    for _ in range(20):
        assert 1 <= tries.pause_after(a_problem(409, 1)) <= 1.25
    with pytest.raises(Conflict):
        tries.pause_after(a_problem(409))


def test_no_pause_goes_beyond_the_callers_time() -> None:
    clock = Clock()
    tries = Tries(10, limit=9, clock=clock)
    assert tries.pause_after(a_problem(503, 5)) < 10
    clock.now = 5.5
    with pytest.raises(Problem):
        tries.pause_after(a_problem(503, 5))


def test_when_the_callers_time_is_up_that_is_an_error_without_another_try() -> None:
    clock = Clock()
    tries = Tries(10, limit=9, clock=clock)
    tries.require_time()
    clock.now = 10.0
    with pytest.raises(TimeoutError):
        tries.require_time()
    with pytest.raises(ServerUnreachable):
        tries.pause_after(BROKEN)


def test_nothing_is_waited_for_beyond_the_callers_time_or_a_silence() -> None:
    clock = Clock()
    tries = Tries(100, limit=9, clock=clock)
    assert tries.patience == SILENCE_SECONDS
    clock.now = 98.0
    assert tries.patience == 2
    clock.now = 101.0
    assert 0 < tries.patience < 0.1


def test_each_wait_of_a_request_has_what_is_left_when_it_begins() -> None:
    clock = Clock()
    timeouts = Patience(Tries(10, limit=9, clock=clock))
    assert dict(timeouts) == {"connect": 10, "read": 10, "write": 10, "pool": 10}
    clock.now = 8.0
    assert timeouts.get("read") == 2


@pytest.mark.parametrize("status", [408, 429, 503, 504])
def test_what_may_go_well_later_may_be_tried_again(status: int) -> None:
    assert a_problem(status).retryable


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 413, 415, 422, 500, 502])
def test_what_would_go_wrong_again_is_final_unless_the_server_says_when(status: int) -> None:
    assert not a_problem(status).retryable
    assert a_problem(status, 1).retryable


@pytest.mark.parametrize(("status", "may"), [(502, True), (504, True), (500, False), (404, False)])
def test_what_a_gateway_says_counts_too(status: int, may: bool) -> None:  # noqa: FBT001 - a case
    assert UnexpectedAnswer(status).retryable == may


@pytest.mark.parametrize("said", ["", "-1", "nan", "inf", "soon", "Sun, 22 Nov 2026 08:00:00 GMT"])
def test_a_time_that_is_none_counts_as_absent(said: str) -> None:
    assert read_retry_after({"retry-after": said}) is None


def test_an_error_says_what_to_mend_and_where_to_look() -> None:
    document = ProblemDocument.model_validate(
        {
            "status": 422,
            "code": "validation_error",
            "title": "Validation error",
            "detail": "See errors for what to mend.",
            "trace_id": "abc",
            "errors": [
                {"location": "body.text", "code": "blank_text", "detail": "body.text is blank."}
            ],
        }
    )
    assert str(problem_of(document)) == ("validation_error: body.text is blank. (trace abc)")
