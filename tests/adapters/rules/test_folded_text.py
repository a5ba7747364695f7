"""Folding: what rules read, and the way back to what was written."""

import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prosa.adapters.rules.folded_text import fold, unfolded_spans, words_of


@pytest.mark.parametrize(
    ("text", "folded"),
    [
        ("Olá, Ação!", "ola, acao!"),
        ("a\u0301c\u0327a\u0303o", "acao"),
        ("STRASSE Straße", "strasse strasse"),
        ("\uff29\uff27\uff2e", "ign"),
        ("\u0456gn\u043er\u0435", "ignore"),
        ("ig\u200bn\u00ado\u2060re\ufeff", "ignore"),
        ("i\U000e0061gnore", "ignore"),
        ("\u202eignore\u202c", "ignore"),
        ("a\u00a0b\tc\u2003d\r\n\u2028", "a b c d\n\n\n"),
        ("5\u20134\u20143", "5-4-3"),
        ("\uff5c\u00b2", "|2"),
        ("a\x00\x08b", "ab"),
        ("", ""),
    ],
)
def test_folding_leaves_what_a_reader_sees(text: str, folded: str) -> None:
    assert fold(text) == folded


def test_words_are_letters_and_digits() -> None:
    assert words_of("Cadê o pedido_nº-42? Não\u200b sei!") == [
        "cade",
        "o",
        "pedido",
        "no",
        "42",
        "nao",
        "sei",
    ]


def test_folding_twice_changes_nothing() -> None:
    """Of all characters there are, one by one: a text is folded character by character."""
    every_character = "".join(map(chr, range(sys.maxunicode + 1)))
    once = fold(every_character)
    assert fold(once) == once


@given(st.text(max_size=60), st.data())
def test_a_span_leads_back_to_the_characters_that_it_came_from(
    text: str, data: st.DataObject
) -> None:
    folded = fold(text)
    if not folded:
        return
    start = data.draw(st.integers(0, len(folded) - 1))
    end = data.draw(st.integers(start + 1, len(folded)))
    ((first, last),) = unfolded_spans(text, [(start, end)])
    assert folded[start:end] in fold(text[first:last])
    assert (
        folded[start:end] not in fold(text[first + 1 : last]) or folded.count(folded[start:end]) > 1
    )
    assert fold(text[:first]) == folded[: len(fold(text[:first]))]


def test_a_span_leads_back_over_what_folding_drops_and_adds() -> None:
    text = "\ufdfa 4\u200b1 é"
    start = fold(text).index("41")
    ((first, last),) = unfolded_spans(text, [(start, start + 2)])
    assert text[first:last] == "4\u200b1"
