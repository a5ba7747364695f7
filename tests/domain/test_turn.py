"""Turns: one message and what came of it."""

from datetime import timedelta

from prosa.domain.identifiers import TenantId
from prosa.domain.turn import LEASE_AFTER_DEADLINE
from prosa.testing.builders import TIME_TO_ANSWER, VirtualClock, a_conversation, claim

TENANT = TenantId("acme")


def test_a_lease_outlives_the_deadline_and_ends_to_the_instant() -> None:
    clock = VirtualClock()
    turn = claim(a_conversation(clock, TENANT), clock)
    end = clock.now + TIME_TO_ANSWER + LEASE_AFTER_DEADLINE
    assert not turn.lease_has_run_out(turn.deadline)
    assert not turn.lease_has_run_out(end - timedelta(microseconds=1))
    assert turn.lease_has_run_out(end)


def test_an_attempt_says_whose_it_is_and_until_when() -> None:
    clock = VirtualClock()
    conversation = a_conversation(clock, TENANT)
    turn = claim(conversation, clock)
    attempt = conversation.attempt_at(turn)
    assert (attempt.tenant_id, attempt.conversation_id) == (TENANT, conversation.header.id)
    assert (attempt.turn_id, attempt.number, attempt.deadline) == (turn.id, 1, turn.deadline)
