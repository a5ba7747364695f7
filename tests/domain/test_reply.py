"""Replies: what a model answered, and what it used."""

from prosa.domain.content import text_of
from prosa.domain.reply import FinishReason, TokenUsage, apology, refusal


def test_a_refusal_is_a_filtered_reply_of_the_platforms_own_that_used_no_tokens() -> None:
    reply = refusal("Não posso ajudar com isso.")
    assert text_of(reply.parts) == "Não posso ajudar com isso."
    assert reply.finish_reason is FinishReason.CONTENT_FILTER
    assert (reply.provider, reply.model) == ("prosa", "canned_reply")
    assert reply.usage == TokenUsage()
    assert not reply.degraded


def test_an_apology_is_a_degraded_reply_of_the_platforms_own() -> None:
    reply = apology("Volto já.")
    assert text_of(reply.parts) == "Volto já."
    assert reply.finish_reason is FinishReason.STOP
    assert reply.degraded
