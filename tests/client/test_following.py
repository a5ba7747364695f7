"""What a stream's events mean, whatever else a server may say."""

import pytest
from httpx2 import ServerSentEvent

from prosa.client import ServerFailed, TurnDelta, TurnStarted, UnexpectedAnswer, requests
from prosa.client.errors import ServerUnreachable
from prosa.client.following import Following
from prosa.client.tries import Tries

FACTS = '{"turn_id": "turn_1", "conversation_id": "conv_1", "said_by_a_newer_server": 1}'
STARTED = ServerSentEvent(event="turn.started", id="1", data=FACTS)
FAILED = ServerSentEvent(
    event="turn.failed",
    id="2",
    data='{"status": 504, "code": "c", "title": "t", "detail": "d", "trace_id": "0"}',
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
