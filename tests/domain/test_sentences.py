"""Sentences: where a reply is cut does not depend on how it arrives."""

import re
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from prosa.domain.sentences import LONG_PIECE_CHARACTERS, SentenceSplitter, split

# Mostly what matters to the splitter, so that examples are dense in ends and blanks.
near_prose = st.text(st.sampled_from("aB7 .!?…\"')\n\t\u00a0"), max_size=300)
long_words = st.lists(
    st.tuples(st.integers(1, 150), st.sampled_from([" ", "  ", ". ", "\n\n", " \n "])), max_size=6
).map(lambda words: "".join("x" * length + blank for length, blank in words))
texts = near_prose | long_words | st.text(max_size=200)

unhurried = settings(deadline=None)


def fed(text: str, cuts: list[int]) -> list[str]:
    """Feed a text in drips, cut at the places named."""
    places = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    splitter = SentenceSplitter()
    pieces: list[str] = []
    for start, end in pairwise(places):
        pieces += splitter.push(text[start:end])
    return pieces + splitter.finish()


@unhurried
@given(text=texts, cuts=st.lists(st.integers(0, 400), max_size=20))
def test_the_pieces_are_the_same_for_every_way_of_feeding(text: str, cuts: list[int]) -> None:
    assert fed(text, cuts) == split(text)


@unhurried
@given(text=texts)
def test_the_pieces_are_the_same_fed_character_by_character(text: str) -> None:
    assert fed(text, list(range(len(text)))) == split(text)


@unhurried
@given(text=texts)
def test_the_pieces_joined_are_the_text_and_none_is_empty(text: str) -> None:
    assert "".join(split(text)) == text
    assert all(split(text))


@unhurried
@given(text=texts)
@example("x" * 99 + "  " + "y" * 99 + " " + "z" * 200)
def test_a_long_piece_ends_at_its_next_blank(text: str) -> None:
    for piece in split(text):
        blanks = re.finditer(r"(\S?)\s+\S", piece)
        late = [blank for blank in blanks if blank.end() > LONG_PIECE_CHARACTERS + 1]
        assert all(re.match(r"[\d)]", blank[1]) for blank in late)


@unhurried
@given(text=texts, other=texts)
def test_pieces_that_are_out_stay_as_they_are_whatever_follows(text: str, other: str) -> None:
    splitter = SentenceSplitter()
    out = splitter.push(text)
    going_on = SentenceSplitter(continuing=bool(out))
    whole = [*out, *going_on.push(other), *going_on.finish()]
    assert split("".join(whole)) == whole


@unhurried
@given(text=texts, cuts=st.lists(st.integers(0, 400), max_size=20))
def test_a_released_piece_is_never_called_back(text: str, cuts: list[int]) -> None:
    """Whatever comes later, what was released of a prefix stays as it is."""
    splitter = SentenceSplitter()
    released = splitter.push(text[: cuts[0] if cuts else 0])
    assert split(text)[: len(released)] == released


def test_sentences_are_pieces_with_the_blank_behind_them() -> None:
    assert split("Oi, Ana! Tudo bem? Saiu hoje…  Chega amanhã.") == [
        "Oi, Ana! ",
        "Tudo bem? ",
        "Saiu hoje…  ",
        "Chega amanhã.",
    ]


@pytest.mark.parametrize("closing", ['"', "”", "'", "’", ")", "]", "**", '")'])
def test_what_closes_after_the_stop_belongs_to_the_sentence(closing: str) -> None:
    assert split(f"Disse: sim.{closing} Foi assim.") == [f"Disse: sim.{closing} ", "Foi assim."]


def test_a_stop_within_a_word_ends_nothing() -> None:
    assert split("Custa R$ 1.299,90 em www.example.com hoje") == [
        "Custa R$ 1.299,90 em www.example.com hoje"
    ]


def test_a_line_break_ends_a_piece() -> None:
    assert split("Confira:\n- pedido\n\n- nota") == ["Confira:\n", "- pedido\n\n", "- nota"]


def test_a_sentence_waits_for_the_first_character_of_the_next() -> None:
    splitter = SentenceSplitter()
    assert splitter.push("Saiu hoje. ") == []
    assert splitter.push(" ") == []
    assert splitter.push("C") == ["Saiu hoje.  "]


def test_a_long_sentence_is_cut_at_the_first_blank_behind_the_limit() -> None:
    first, *_ = split("palavra " * 40)
    assert len(first) == 104
    assert split("a" * 99 + " b c")[0] == "a" * 99 + " b "
    assert split("a" * 100 + " b c")[0] == "a" * 100 + " "


@pytest.mark.parametrize("blank", [" ", "\n", " \n"])
def test_a_number_in_groups_stays_whole(blank: str) -> None:
    number = blank.join(["(11) 4111", "1111", "1111"])
    text = f"{'palavra ' * 12}{number} está aprovado. Fim."
    (piece,) = [piece for piece in split(text) if "11" in piece]
    assert piece.endswith(f"{number} está ")


def test_a_word_longer_than_the_limit_stays_whole() -> None:
    assert split("x" * 500 + " fim") == ["x" * 500 + " ", "fim"]


def test_what_is_left_at_the_end_is_one_piece_once() -> None:
    splitter = SentenceSplitter()
    splitter.push("sem ponto")
    assert splitter.finish() == ["sem ponto"]
    assert splitter.finish() == []


def test_nothing_is_no_piece() -> None:
    assert split("") == []
