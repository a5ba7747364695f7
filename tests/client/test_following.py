"""What a stream's events mean, whatever else a server may say."""

import pytest
from httpx2 import ServerSentEvent

from prosa.client import Conflict, ServerFailed, TurnDelta, TurnStarted, UnexpectedAnswer, requests
from prosa.client.answers import problem_of
from prosa.client.errors import ProblemDocument, ServerUnreachable
from prosa.client.following import Following
from prosa.client.tries import Tries

FACTS = '{"turn_id": "turn_1", "conversation_id": "conv_1", "said_by_a_newer_server": 1}'
STARTED = ServerSentEvent(event="turn.started", id="1", data=FACTS)
FAILED = ServerSentEvent(
    event="turn.failed",
    id="2",
    data='{"status": 504, "code": "c", "title": "t", "detail": "d", "trace_id": "0"}',
)

RUNS_STILL = ProblemDocument(
    status=409, code="turn_in_progress", title="t", detail="d", trace_id="0", turn_id="turn_1"
)
TAKEN_OVER = ServerSentEvent(event="turn.failed", id="3", data=RUNS_STILL.model_dump_json())
COMPLETED = ServerSentEvent(
    event="turn.completed",
    id="3",
    data="""{"id": "turn_1", "conversation_id": "conv_1", "status": "completed", "attempt": 1,
    "message": {"id": "msg_1", "conversation_id": "conv_1", "role": "user", "text": "Oi!",
    "sequence": 1, "metadata": {}, "created_at": "2026-11-22T08:00:00Z"},
    "intent": null, "reply": null, "error": null,
    "created_at": "2026-11-22T08:00:00Z", "completed_at": "2026-11-22T08:00:01Z"}""",
)


def a_delta(number: int, text: str = "Oi. ") -> ServerSentEvent:
    return ServerSentEvent(event="turn.delta", id=str(number), data=f'{{"text": "{text}"}}')


def test_a_turn_that_is_run_again_is_told_from_its_start() -> None:
    following = Following(turn_id="turn_1", last_event_id=4)
    assert following.take(STARTED) == TurnStarted(
        event_id=1, turn_id="turn_1", conversation_id="conv_1"
    )
    following.take(a_delta(2))
    assert following.next_request == requests.events("turn_1", 2)


def test_events_of_an_unknown_kind_are_passed_over() -> None:
    following = Following(turn_id="turn_1", last_event_id=4)
    assert following.take(ServerSentEvent(event="turn.thought", id="5", data="{}")) is None
    assert following.next_request == requests.events("turn_1", 4)


@pytest.mark.parametrize(("number", "said"), [("x", '{"text": "a"}'), ("2", "[]"), ("2", "{")])
def test_an_event_that_cannot_be_read_is_an_error_that_does_not_repeat_it(
    number: str, said: str
) -> None:
    following = Following(turn_id="turn_1")
    with pytest.raises(UnexpectedAnswer) as failed:
        following.take(ServerSentEvent(event="turn.delta", id=number, data=said))
    assert failed.value.__suppress_context__


def test_a_failure_before_anything_was_said_sends_the_message_again() -> None:
    message = requests.new_message("Oi!", requests.ACCEPT_EVENTS)
    following = Following(message)
    following.take(STARTED)
    assert following.next_request == requests.events("turn_1", 1)
    with pytest.raises(ServerFailed) as failed:
        following.take(FAILED)
    following.pause_after(failed.value, Tries(60, limit=2))
    assert not following.ended
    assert following.next_request == message


def test_a_failure_after_something_was_said_is_final() -> None:
    following = Following(requests.new_message("Oi!", requests.ACCEPT_EVENTS))
    following.take(STARTED)
    assert isinstance(following.take(a_delta(2)), TurnDelta)
    with pytest.raises(ServerFailed) as failed:
        following.take(FAILED)
    with pytest.raises(ServerFailed):
        following.pause_after(failed.value, Tries(60, limit=9))


def test_a_stream_that_ends_too_early_is_an_error_that_may_be_mended() -> None:
    following = Following(turn_id="turn_1")
    following.take(STARTED)
    with pytest.raises(ServerUnreachable) as broke:
        following.require_end()
    assert broke.value.retryable


@pytest.mark.parametrize("message", [None, requests.new_message("Oi!", requests.ACCEPT_EVENTS)])
def test_a_turn_that_another_attempt_took_over_is_followed_from_its_start(
    message: requests.Request | None,
) -> None:
    following = Following(message, turn_id="" if message else "turn_1")
    tries = Tries(60, limit=1)
    for _ in range(3):
        following.take(STARTED)
        following.take(a_delta(2))
        with pytest.raises(Conflict) as taken_over:
            following.take(TAKEN_OVER)
        assert 1 <= following.pause_after(taken_over.value, tries) <= 1.25
        assert not following.ended
        assert following.next_request == requests.events("turn_1", 0)


def test_a_turn_that_is_taken_over_when_the_callers_time_is_up_is_an_error() -> None:
    following = Following(turn_id="turn_1")
    following.take(STARTED)
    with pytest.raises(Conflict) as taken_over:
        following.take(TAKEN_OVER)
    assert taken_over.value.retryable
    with pytest.raises(Conflict):
        following.pause_after(taken_over.value, Tries(0.9, limit=9))


def test_a_turn_that_runs_already_is_followed_at_once_and_from_then_on_with_pauses() -> None:
    following = Following(requests.new_message("Oi!", requests.ACCEPT_EVENTS))
    runs_still = problem_of(RUNS_STILL, 1.0)
    pauses = [following.pause_after(runs_still, Tries(60, limit=1)) for _ in range(3)]
    assert pauses[0] == 0
    assert all(pause >= 1 for pause in pauses[1:])


@pytest.mark.parametrize("message", [None, requests.new_message("Oi!", requests.ACCEPT_EVENTS)])
def test_what_goes_wrong_behind_a_completed_turn_is_no_matter(
    message: requests.Request | None,
) -> None:
    following = Following(message, turn_id="turn_1")
    following.take(COMPLETED)
    assert following.pause_after(ServerUnreachable("it broke off"), Tries(60, limit=1)) == 0
    assert following.ended
