"""Replies: what a model answered, and what it used."""

from prosa.domain.content import text_of
from prosa.domain.reply import FinishReason, TokenUsage, refusal


def test_usages_add_up_field_by_field() -> None:
    first = TokenUsage(input_tokens=100, output_tokens=10, cached_input_tokens=60)
    second = TokenUsage(input_tokens=1, output_tokens=2, cached_input_tokens=3)
    assert first + second == TokenUsage(input_tokens=101, output_tokens=12, cached_input_tokens=63)


def test_no_usage_is_neutral() -> None:
    usage = TokenUsage(input_tokens=5, output_tokens=6, cached_input_tokens=7)
    assert usage + TokenUsage() == usage


def test_a_refusal_is_a_filtered_reply_of_the_platforms_own_that_used_no_tokens() -> None:
    reply = refusal("Não posso ajudar com isso.")
    assert text_of(reply.parts) == "Não posso ajudar com isso."
    assert reply.finish_reason is FinishReason.CONTENT_FILTER
    assert (reply.provider, reply.model) == ("prosa", "canned_reply")
    assert reply.usage == TokenUsage()
    assert not reply.degraded
