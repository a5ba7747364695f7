"""The conversation: who may do what and when, and what it records of it."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

import pytest

from prosa.domain import events as happened
from prosa.domain.content import Text, ToolCall
from prosa.domain.conversation import LEASE_RAN_OUT, Conversation
from prosa.domain.conversation_header import ConversationStatus, Owner
from prosa.domain.errors import (
    ConversationBusy,
    ConversationClosed,
    MessageTooLong,
    StaleAttempt,
    TurnFailed,
    TurnInProgress,
    TurnNotFound,
    TurnWithoutReply,
)
from prosa.domain.events import Event
from prosa.domain.identifiers import TenantId, TurnId, is_identifier
from prosa.domain.intent import Intent
from prosa.domain.message import MAX_MESSAGE_CHARACTERS, Message, Role
from prosa.domain.reply import FinishReason
from prosa.domain.turn import (
    LEASE_AFTER_DEADLINE,
    MAX_FAILURES,
    Attempt,
    Turn,
    TurnError,
    TurnStatus,
)
from prosa.testing.builders import (
    NOON,
    PROMPT,
    TIME_TO_ANSWER,
    USAGE,
    VirtualClock,
    a_call,
    a_conversation,
    a_reply,
    claim,
)

TENANT = TenantId("acme")
LEASE_SECONDS = (TIME_TO_ANSWER + LEASE_AFTER_DEADLINE).total_seconds()


def opened() -> tuple[Conversation, VirtualClock]:
    clock = VirtualClock()
    return a_conversation(clock, TENANT), clock


def with_human(conversation: Conversation, turns: Iterable[Turn] = ()) -> Conversation:
    """Take the conversation up as it is after a human took over."""
    header = replace(conversation.header, owner=Owner.HUMAN)
    return Conversation.restore(header, turns=turns, history=conversation.history)


def record(
    conversation: Conversation, turn: Turn, clock: VirtualClock, text: str = "Saiu hoje."
) -> Turn:
    attempt = replace(conversation.attempt_at(turn), reply=a_reply(text))
    return conversation.record(attempt, at=clock.moment)


def fail(
    conversation: Conversation, turn: Turn, clock: VirtualClock, *, retryable: bool = True
) -> Turn:
    return conversation.fail(
        conversation.attempt_at(turn), code="model_failed", retryable=retryable, at=clock.moment
    )


def run_again(conversation: Conversation, turn: Turn, clock: VirtualClock) -> Turn:
    return conversation.run_again(
        turn.id, deadline=clock.now + TIME_TO_ANSWER, caller_waits=True, at=clock.moment
    )


def failed_until_one_is_left(conversation: Conversation, clock: VirtualClock) -> Turn:
    """Begin the last attempt that a turn may have."""
    turn = claim(conversation, clock)
    for _ in range(MAX_FAILURES - 1):
        turn = run_again(conversation, fail(conversation, turn, clock), clock)
    return turn


def kinds(events: Iterable[Event]) -> list[str]:
    return [type(event).__name__ for event in events]


def sequences(messages: Iterable[Message]) -> list[int]:
    return [message.sequence for message in messages]


# Starting and restoring


def may_run_again(turn: Turn) -> bool:
    return turn.error is not None and turn.error.retryable


def test_a_new_conversation_is_open_empty_and_the_assistants() -> None:
    conversation, _ = opened()
    header = conversation.header
    assert (header.status, header.owner) == (ConversationStatus.OPEN, Owner.ASSISTANT)
    assert (header.message_count, header.version, header.running_turn_id) == (0, 0, None)
    assert (header.created_at, header.updated_at) == (NOON, NOON)
    assert is_identifier(header.id, "conv")
    assert conversation.history == ()


def test_starting_is_recorded_with_what_the_tenant_said_of_it() -> None:
    clock = VirtualClock()
    metadata = {"campaign": "x"}
    conversation = a_conversation(
        clock, TENANT, customer_id="ana", channel="whatsapp", metadata=metadata
    )
    assert conversation.header.metadata == metadata
    (event,) = conversation.changes.events
    assert is_identifier(event.id, "evt")
    assert event == happened.ConversationStarted(
        id=event.id,
        tenant_id=TENANT,
        conversation_id=conversation.header.id,
        sequence=1,
        occurred_at=NOON,
        customer_id="ana",
        channel="whatsapp",
    )


def test_taking_up_a_stored_conversation_records_nothing() -> None:
    stored, clock = opened()
    turn = claim(stored, clock)
    restored = Conversation.restore(stored.header, turns=[turn], history=stored.history)
    assert restored.changes.events == []
    assert restored.changes.messages == []
    assert (restored.header, restored.history) == (stored.header, stored.history)


# Claiming


def test_claiming_stores_the_message_and_begins_a_turn_for_it() -> None:
    conversation, clock = opened()
    turn = conversation.claim(
        "Cadê meu pedido?",
        metadata={"page": "/orders"},
        deadline=NOON + timedelta(seconds=9),
        caller_waits=False,
        at=clock.moment,
    )
    assert (turn.status, turn.attempt, turn.failures) == (TurnStatus.RUNNING, 1, 0)
    assert (turn.deadline, turn.caller_waits) == (NOON + timedelta(seconds=9), False)
    assert turn.lease_until == turn.deadline + LEASE_AFTER_DEADLINE
    assert is_identifier(turn.id, "turn")
    message = turn.message
    assert is_identifier(message.id, "msg")
    assert (message.role, message.text) == (Role.USER, "Cadê meu pedido?")
    assert message.metadata == {"page": "/orders"}
    assert (message.turn_id, message.conversation_id) == (turn.id, conversation.header.id)
    assert (message.created_at, message.provenance) == (NOON, None)
    assert conversation.history == (message,)
    assert conversation.header.running_turn_id == turn.id
    assert conversation.changes.messages == [message]
    assert conversation.changes.turns == {turn.id: turn}


def test_claiming_is_recorded_as_the_start_of_an_attempt() -> None:
    conversation, clock = opened()
    turn = claim(conversation, clock)
    event = conversation.changes.events[-1]
    assert isinstance(event, happened.TurnStarted)
    assert (event.turn_id, event.message_id, event.attempt) == (turn.id, turn.message.id, 1)


def test_the_longest_message_is_taken_and_one_character_more_is_not() -> None:
    conversation, clock = opened()
    with pytest.raises(MessageTooLong):
        claim(conversation, clock, "🙂" * (MAX_MESSAGE_CHARACTERS + 1))
    assert conversation.header.message_count == 0
    claim(conversation, clock, "🙂" * MAX_MESSAGE_CHARACTERS)
    assert conversation.header.message_count == 1


def test_while_a_turn_runs_no_other_begins() -> None:
    conversation, clock = opened()
    first = claim(conversation, clock)
    with pytest.raises(ConversationBusy) as busy:
        claim(conversation, clock)
    assert busy.value.conversation_id == conversation.header.id
    assert conversation.header.running_turn_id == first.id
    assert conversation.header.message_count == 1


@pytest.mark.parametrize(("seconds_left", "retry_after"), [(30.0, 2.0), (1.5, 1.5), (0.25, 1.0)])
def test_who_finds_it_busy_is_told_to_ask_soon_at_the_end_of_the_lease_at_the_latest(
    seconds_left: float, retry_after: float
) -> None:
    conversation, clock = opened()
    claim(conversation, clock)
    clock.advance(LEASE_SECONDS - seconds_left)
    with pytest.raises(ConversationBusy) as busy:
        claim(conversation, clock)
    assert busy.value.retry_after == retry_after


def test_a_closed_conversation_takes_no_message() -> None:
    conversation, clock = opened()
    conversation.close(at=clock.moment)
    with pytest.raises(ConversationClosed):
        claim(conversation, clock)
    assert conversation.header.message_count == 0


def test_a_turn_whose_lease_ran_out_is_failed_and_the_next_goes_on() -> None:
    conversation, clock = opened()
    crashed = claim(conversation, clock)
    clock.advance(LEASE_SECONDS)
    turn = claim(conversation, clock, "Alguém?")
    failed = conversation.changes.turns[crashed.id]
    assert (failed.status, failed.failures) == (TurnStatus.FAILED, 1)
    assert failed.error is not None
    assert (failed.error.code, failed.error.retryable) == (LEASE_RAN_OUT, True)
    assert conversation.header.running_turn_id == turn.id
    assert kinds(conversation.changes.events) == [
        "ConversationStarted",
        "TurnStarted",
        "TurnFailed",
        "TurnStarted",
    ]


def test_a_crash_at_the_last_attempt_is_failed_for_good_by_whoever_finds_it() -> None:
    conversation, clock = opened()
    crashed = failed_until_one_is_left(conversation, clock)
    clock.advance(LEASE_SECONDS)
    claim(conversation, clock)
    failed = conversation.changes.turns[crashed.id]
    assert failed.failures == MAX_FAILURES
    assert failed.error is not None
    assert not failed.error.retryable


def test_while_a_human_owns_the_conversation_a_turn_is_complete_at_once_with_no_reply() -> None:
    conversation, clock = opened()
    conversation = with_human(conversation)
    turn = claim(conversation, clock)
    assert (turn.status, turn.reply, turn.completed_at) == (TurnStatus.COMPLETED, None, NOON)
    assert conversation.header.running_turn_id is None
    assert [message.text for message in conversation.history] == [turn.message.text]
    (event,) = conversation.changes.events
    assert isinstance(event, happened.TurnCompleted)
    assert (event.reply_id, event.provenance, event.intent) == (None, None, None)


# Attempts


def test_an_attempt_begins_with_the_conversation_so_far_and_its_own_message_last() -> None:
    conversation, clock = opened()
    record(conversation, claim(conversation, clock, "q1"), clock, "a1")
    turn = claim(conversation, clock, "q2")
    attempt = conversation.attempt_at(turn)
    assert [message.text for message in attempt.history] == ["q1", "a1", "q2"]
    assert attempt == Attempt(
        header=replace(conversation.header, version=1), turn=turn, history=attempt.history
    )


def test_an_attempt_takes_the_conversation_along_as_it_will_be_once_saved() -> None:
    conversation, clock = opened()
    turn = claim(conversation, clock)
    saved = replace(conversation.header, version=conversation.header.version + 1)
    assert conversation.attempt_at(turn).header == saved
    loaded = Conversation.restore(saved, turns=[turn], history=[])
    assert loaded.attempt_at(turn).header == saved


def test_a_conversation_resumed_from_an_attempt_is_as_good_as_a_loaded_one() -> None:
    conversation, clock = opened()
    running = claim(conversation, clock)
    resumed = Conversation.resume(conversation.attempt_at(running))
    assert resumed.changes.events == []
    turn = record(resumed, running, clock)
    assert turn.status is TurnStatus.COMPLETED
    assert sequences(resumed.changes.messages) == [2]
    assert [event.sequence for event in resumed.changes.events] == [3]
    assert (resumed.header.version, resumed.header.running_turn_id) == (1, None)


def test_a_later_attempt_sees_what_was_said_since_and_still_its_own_message_last() -> None:
    conversation, clock = opened()
    failed = fail(conversation, claim(conversation, clock, "q1"), clock)
    record(conversation, claim(conversation, clock, "q2"), clock, "a2")
    again = run_again(conversation, failed, clock)
    history = conversation.attempt_at(again).history
    assert [message.text for message in history] == ["q2", "a2", "q1"]


# Recording


def test_recording_stores_the_reply_and_completes_the_turn() -> None:
    conversation, clock = opened()
    running = claim(conversation, clock)
    clock.advance(3)
    call = ToolCall(id="call_1", name="find_order", arguments="{}")
    attempt = replace(
        conversation.attempt_at(running),
        intent=Intent(name="order_status", confidence=0.75),
        prompt=PROMPT,
        reply=replace(a_reply(), parts=(Text(text="Saiu hoje."), call), degraded=True),
        calls=(a_call(),),
    )
    turn = conversation.record(attempt, at=clock.moment)
    assert (turn.status, turn.completed_at, turn.error) == (TurnStatus.COMPLETED, clock.now, None)
    assert turn.intent == Intent(name="order_status", confidence=0.75)
    reply = turn.reply
    assert reply is not None
    assert (reply.role, reply.sequence, reply.turn_id) == (Role.ASSISTANT, 2, turn.id)
    assert reply.parts == (Text(text="Saiu hoje."), call)
    assert reply.metadata == {}
    assert reply.provenance is not None
    assert reply.provenance.finish_reason is FinishReason.STOP
    assert (reply.provenance.provider, reply.provenance.model) == ("openai", "gpt-4o-mini")
    assert (reply.provenance.usage, reply.provenance.prompt) == (USAGE, PROMPT)
    assert reply.provenance.degraded
    assert conversation.history == (running.message, reply)
    assert conversation.header.running_turn_id is None
    assert conversation.header.updated_at == clock.now


def test_recording_is_recorded_with_how_the_reply_came_about() -> None:
    conversation, clock = opened()
    turn = record(conversation, claim(conversation, clock), clock)
    event = conversation.changes.events[-1]
    assert isinstance(event, happened.TurnCompleted)
    assert turn.reply is not None
    assert (event.turn_id, event.message_id) == (turn.id, turn.message.id)
    assert (event.reply_id, event.provenance) == (turn.reply.id, turn.reply.provenance)
    assert (event.intent, event.attempt) == (turn.intent, 1)


def test_the_attempt_is_kept_for_audit_without_the_reply_which_the_message_keeps() -> None:
    conversation, clock = opened()
    running = claim(conversation, clock)
    attempt = replace(conversation.attempt_at(running), reply=a_reply(), calls=(a_call(),))
    conversation.record(attempt, at=clock.moment)
    assert conversation.changes.attempts == [replace(attempt, reply=None)]


def test_a_turn_is_not_recorded_before_a_reply_was_generated() -> None:
    conversation, clock = opened()
    running = claim(conversation, clock)
    with pytest.raises(TurnWithoutReply):
        conversation.record(conversation.attempt_at(running), at=clock.moment)
    assert conversation.header.running_turn_id == running.id


def test_an_attempt_that_was_overtaken_records_nothing() -> None:
    conversation, clock = opened()
    turn = claim(conversation, clock)
    zombie = replace(conversation.attempt_at(turn), reply=a_reply("late"))
    clock.advance(LEASE_SECONDS)
    run_again(conversation, turn, clock)
    with pytest.raises(StaleAttempt):
        conversation.record(zombie, at=clock.moment)
    with pytest.raises(StaleAttempt):
        conversation.fail(zombie, code="late", retryable=True, at=clock.moment)
    assert sequences(conversation.history) == [1]


def test_a_finished_turn_is_not_recorded_again() -> None:
    conversation, clock = opened()
    running = claim(conversation, clock)
    completed = record(conversation, running, clock)
    with pytest.raises(StaleAttempt):
        record(conversation, running, clock)
    with pytest.raises(StaleAttempt):
        fail(conversation, running, clock)
    assert conversation.changes.turns[running.id] == completed


def test_a_failed_turn_is_not_recorded_until_it_runs_again() -> None:
    conversation, clock = opened()
    running = claim(conversation, clock)
    failed = fail(conversation, running, clock)
    with pytest.raises(StaleAttempt):
        record(conversation, running, clock)
    assert record(conversation, run_again(conversation, failed, clock), clock).attempt == 2


def test_a_turn_that_was_not_loaded_cannot_be_recorded() -> None:
    conversation, clock = opened()
    running = claim(conversation, clock)
    elsewhere = Conversation.restore(conversation.header, turns=[], history=[])
    with pytest.raises(StaleAttempt):
        record(elsewhere, running, clock)


# Failing


def test_failing_frees_the_conversation_at_once_and_keeps_the_message() -> None:
    conversation, clock = opened()
    running = claim(conversation, clock)
    clock.advance(1)
    turn = fail(conversation, running, clock)
    assert (turn.status, turn.failures, turn.completed_at) == (TurnStatus.FAILED, 1, clock.now)
    assert turn.error is not None
    assert (turn.error.code, turn.error.retryable) == ("model_failed", True)
    assert conversation.header.running_turn_id is None
    assert conversation.history == (running.message,)
    claim(conversation, clock)


def test_failing_is_recorded_with_why() -> None:
    conversation, clock = opened()
    turn = fail(conversation, claim(conversation, clock), clock)
    event = conversation.changes.events[-1]
    assert isinstance(event, happened.TurnFailed)
    assert (event.turn_id, event.message_id) == (turn.id, turn.message.id)
    assert (event.attempt, event.error) == (1, turn.error)


def test_a_failed_attempt_keeps_what_was_said_and_used() -> None:
    conversation, clock = opened()
    running = claim(conversation, clock)
    attempt = replace(conversation.attempt_at(running), said="Olá. ", calls=(a_call(),))
    conversation.fail(attempt, code="model_failed", retryable=True, at=clock.moment)
    assert conversation.changes.attempts == [attempt]


def test_a_failure_that_cannot_be_repaired_is_final() -> None:
    conversation, clock = opened()
    turn = fail(conversation, claim(conversation, clock), clock, retryable=False)
    assert not may_run_again(turn)


def test_the_fifth_failure_is_final() -> None:
    conversation, clock = opened()
    turn = claim(conversation, clock)
    retryable = []
    for _ in range(MAX_FAILURES):
        failed = fail(conversation, turn, clock)
        retryable.append(may_run_again(failed))
        if may_run_again(failed):
            turn = run_again(conversation, failed, clock)
    assert retryable == [True, True, True, True, False]


# Running again


def test_a_failed_turn_runs_again_as_its_next_attempt_with_the_stored_message() -> None:
    conversation, clock = opened()
    failed = fail(conversation, claim(conversation, clock), clock)
    clock.advance(60)
    turn = conversation.run_again(
        failed.id, deadline=clock.now + TIME_TO_ANSWER, caller_waits=False, at=clock.moment
    )
    assert (turn.status, turn.attempt, turn.failures) == (TurnStatus.RUNNING, 2, 1)
    assert (turn.error, turn.completed_at, turn.caller_waits) == (None, None, False)
    assert turn.deadline == clock.now + TIME_TO_ANSWER
    assert turn.lease_until == turn.deadline + LEASE_AFTER_DEADLINE
    assert (turn.message, turn.created_at) == (failed.message, NOON)
    assert conversation.header.message_count == 1
    assert conversation.header.running_turn_id == turn.id
    event = conversation.changes.events[-1]
    assert isinstance(event, happened.TurnStarted)
    assert (event.turn_id, event.attempt) == (turn.id, 2)


def test_a_running_turn_is_not_taken_over_before_its_lease_ran_out() -> None:
    conversation, clock = opened()
    running = claim(conversation, clock)
    clock.advance(LEASE_SECONDS - 0.5)
    with pytest.raises(TurnInProgress) as in_progress:
        run_again(conversation, running, clock)
    assert (in_progress.value.turn_id, in_progress.value.retry_after) == (running.id, 1.0)
    assert conversation.changes.turns[running.id] == running


def test_a_running_turn_whose_lease_ran_out_is_taken_over_and_that_is_a_failure() -> None:
    conversation, clock = opened()
    running = claim(conversation, clock)
    clock.advance(LEASE_SECONDS)
    turn = run_again(conversation, running, clock)
    assert (turn.status, turn.attempt, turn.failures) == (TurnStatus.RUNNING, 2, 1)
    assert kinds(conversation.changes.events)[-2:] == ["TurnStarted", "TurnStarted"]


def test_a_takeover_at_the_limit_fails_the_turn_for_good() -> None:
    conversation, clock = opened()
    running = failed_until_one_is_left(conversation, clock)
    clock.advance(LEASE_SECONDS)
    turn = run_again(conversation, running, clock)
    assert (turn.status, turn.failures, turn.attempt) == (TurnStatus.FAILED, 5, 5)
    assert turn.error is not None
    assert (turn.error.code, turn.error.retryable) == (LEASE_RAN_OUT, False)
    assert conversation.header.running_turn_id is None
    assert kinds(conversation.changes.events)[-1] == "TurnFailed"


def recover(conversation: Conversation, turn: Turn, clock: VirtualClock) -> Turn:
    return conversation.recover(turn.id, deadline=clock.now + TIME_TO_ANSWER, at=clock.moment)


def test_recovery_fails_a_crashed_turn_whose_caller_waited() -> None:
    conversation, clock = opened()
    running = claim(conversation, clock)
    clock.advance(LEASE_SECONDS)
    turn = recover(conversation, running, clock)
    assert turn.error == TurnError(code=LEASE_RAN_OUT, retryable=True)
    assert (turn.attempt, turn.failures) == (1, 1)
    assert conversation.header.running_turn_id is None


def test_recovery_runs_a_crashed_turn_again_for_which_nobody_waited() -> None:
    conversation, clock = opened()
    running = claim(conversation, clock)
    nobody_waits = replace(running, caller_waits=False)
    left = Conversation.restore(conversation.header, turns=[nobody_waits], history=())
    clock.advance(LEASE_SECONDS)
    turn = recover(left, running, clock)
    assert (turn.status, turn.attempt, turn.failures) == (TurnStatus.RUNNING, 2, 1)
    assert (turn.deadline, turn.caller_waits) == (clock.now + TIME_TO_ANSWER, False)


def test_recovery_leaves_alone_whose_lease_holds_and_what_has_ended() -> None:
    conversation, clock = opened()
    running = claim(conversation, clock)
    with pytest.raises(TurnInProgress):
        recover(conversation, running, clock)
    completed = record(conversation, running, clock)
    clock.advance(LEASE_SECONDS)
    before = list(conversation.changes.events)
    assert recover(conversation, running, clock) == completed
    assert conversation.changes.events == before


def test_a_failure_that_does_not_count_is_none_of_the_five() -> None:
    conversation, clock = opened()
    attempt = conversation.attempt_at(failed_until_one_is_left(conversation, clock))
    failed = conversation.fail(
        attempt, code="model_unavailable", retryable=True, counts=False, at=clock.moment
    )
    assert (failed.failures, may_run_again(failed)) == (MAX_FAILURES - 1, True)


def test_a_turn_that_failed_for_good_does_not_run_again() -> None:
    conversation, clock = opened()
    failed = fail(conversation, claim(conversation, clock), clock, retryable=False)
    with pytest.raises(TurnFailed) as final:
        run_again(conversation, failed, clock)
    assert (final.value.turn_id, final.value.code) == (failed.id, "model_failed")


def test_a_completed_turn_comes_back_as_it_is_and_nothing_is_recorded() -> None:
    conversation, clock = opened()
    completed = record(conversation, claim(conversation, clock), clock)
    conversation.close(at=clock.moment)
    before = list(conversation.changes.events)
    assert run_again(conversation, completed, clock) == completed
    assert conversation.changes.events == before


def test_a_failed_turn_of_a_closed_conversation_does_not_run_again() -> None:
    conversation, clock = opened()
    failed = fail(conversation, claim(conversation, clock), clock)
    conversation.close(at=clock.moment)
    with pytest.raises(ConversationClosed):
        run_again(conversation, failed, clock)


def test_a_failed_turn_does_not_run_again_while_another_runs() -> None:
    conversation, clock = opened()
    failed = fail(conversation, claim(conversation, clock), clock)
    other = claim(conversation, clock)
    with pytest.raises(ConversationBusy):
        run_again(conversation, failed, clock)
    assert conversation.header.running_turn_id == other.id


def test_a_failed_turn_that_runs_again_fails_another_that_crashed() -> None:
    conversation, clock = opened()
    failed = fail(conversation, claim(conversation, clock), clock)
    crashed = claim(conversation, clock)
    clock.advance(LEASE_SECONDS)
    turn = run_again(conversation, failed, clock)
    assert may_run_again(conversation.changes.turns[crashed.id])
    assert conversation.header.running_turn_id == turn.id


def test_a_failed_turn_that_a_human_answers_by_now_completes_with_no_reply() -> None:
    conversation, clock = opened()
    failed = fail(conversation, claim(conversation, clock), clock)
    clock.advance(1)
    turn = run_again(with_human(conversation, [failed]), failed, clock)
    assert (turn.status, turn.reply, turn.error) == (TurnStatus.COMPLETED, None, None)
    assert (turn.attempt, turn.completed_at) == (2, clock.now)


def test_a_turn_that_does_not_exist_does_not_run_again() -> None:
    conversation, clock = opened()
    with pytest.raises(TurnNotFound):
        conversation.run_again(
            TurnId("turn_0"), deadline=clock.now, caller_waits=True, at=clock.moment
        )


# Closing


def test_closing_is_recorded_with_how_much_was_said() -> None:
    conversation, clock = opened()
    record(conversation, claim(conversation, clock), clock)
    clock.advance(5)
    conversation.close(at=clock.moment)
    assert conversation.header.status is ConversationStatus.CLOSED
    assert conversation.header.updated_at == clock.now
    event = conversation.changes.events[-1]
    assert isinstance(event, happened.ConversationClosed)
    assert event.message_count == 2


def test_closing_a_closed_conversation_changes_nothing() -> None:
    conversation, clock = opened()
    conversation.close(at=clock.moment)
    header, events = conversation.header, list(conversation.changes.events)
    clock.advance(5)
    conversation.close(at=clock.moment)
    assert conversation.header == header
    assert conversation.changes.events == events


def test_a_conversation_is_not_closed_while_a_turn_runs() -> None:
    conversation, clock = opened()
    claim(conversation, clock)
    with pytest.raises(ConversationBusy):
        conversation.close(at=clock.moment)
    assert conversation.header.status is ConversationStatus.OPEN


def test_closing_fails_a_turn_that_crashed() -> None:
    conversation, clock = opened()
    crashed = claim(conversation, clock)
    clock.advance(LEASE_SECONDS)
    conversation.close(at=clock.moment)
    assert conversation.changes.turns[crashed.id].status is TurnStatus.FAILED
    assert kinds(conversation.changes.events)[-2:] == ["TurnFailed", "ConversationClosed"]


def test_a_turn_that_ends_opens_nothing_that_is_closed() -> None:
    conversation, clock = opened()
    turn = claim(conversation, clock)
    closed = replace(conversation.header, status=ConversationStatus.CLOSED)
    stored = Conversation.restore(closed, turns=[turn], history=[])
    record(stored, turn, clock)
    assert stored.header.status is ConversationStatus.CLOSED


# Orders


def test_messages_count_on_from_what_was_stored_without_gaps() -> None:
    conversation, clock = opened()
    for _ in range(3):
        stored = Conversation.restore(
            conversation.header, turns=[], history=conversation.history[-1:]
        )
        record(stored, claim(stored, clock), clock)
        fail(stored, claim(stored, clock), clock)
        conversation = stored
    assert sequences(conversation.changes.messages) == [7, 8, 9]
    assert conversation.header.message_count == 9


def test_events_count_on_from_what_was_stored_without_gaps() -> None:
    conversation, clock = opened()
    record(conversation, claim(conversation, clock), clock)
    assert [event.sequence for event in conversation.changes.events] == [1, 2, 3]
    stored = Conversation.restore(conversation.header, turns=[], history=[])
    stored.close(at=clock.moment)
    assert [event.sequence for event in stored.changes.events] == [4]
    assert stored.header.event_count == 4


def test_events_never_say_what_was_said() -> None:
    conversation, clock = opened()
    record(conversation, claim(conversation, clock, "meu segredo"), clock, "nosso segredo")
    fail(conversation, claim(conversation, clock, "outro segredo"), clock)
    assert "segredo" not in repr(conversation.changes.events)


def test_everything_in_one_moment_happens_at_one_instant() -> None:
    conversation, clock = opened()
    claim(conversation, clock)
    clock.advance(LEASE_SECONDS)
    claim(conversation, clock)
    assert [event.occurred_at for event in conversation.changes.events[-2:]] == [clock.now] * 2
