"""Errors: what they tell a program, and what they never tell anybody."""

from prosa.domain.errors import (
    ConversationBusy,
    KeyReused,
    KeyTaken,
    MessageTooLong,
    PortFailure,
    PromptNotFound,
    TokenMissing,
    TurnFailed,
    TurnInProgress,
)
from prosa.domain.identifiers import ConversationId, TurnId

CONVERSATION = ConversationId("conv_1")
TURN = TurnId("turn_1")


def test_busy_and_in_progress_say_when_to_ask_again() -> None:
    assert ConversationBusy(CONVERSATION, 1.5).retry_after == 1.5
    assert TurnInProgress(TURN, 2.0).retry_after == 2.0


def test_a_message_too_long_says_by_how_much() -> None:
    refused = MessageTooLong(8_001, 8_000)
    assert (refused.length, refused.limit) == (8_001, 8_000)
    assert str(refused) == "a message may have 8000 characters; this one has 8001"


def test_a_failed_turn_says_of_what_it_failed_and_what_to_do() -> None:
    failed = TurnFailed(TURN, "context_too_long")
    assert failed.code == "context_too_long"
    assert "with a new key" in str(failed)


def test_a_missing_prompt_says_where_it_was_looked_for() -> None:
    assert str(PromptNotFound("greeting", "/prompts")) == (
        "there is no prompt named 'greeting' in /prompts"
    )


def test_who_sends_no_token_is_told_how_to() -> None:
    assert "`Authorization: Bearer TOKEN`" in str(TokenMissing())


def test_no_message_quotes_an_idempotency_key() -> None:
    assert "secret-key" not in str(KeyTaken("secret-key")) + str(KeyReused())


def test_a_ports_failure_is_final_unless_it_says_otherwise() -> None:
    assert not PortFailure.transient
