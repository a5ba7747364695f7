"""The context window: whole exchanges, the newest first to be taken, and nothing refused."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from prosa.domain.content import Part, Text, ToolCall, ToolResult, text_of
from prosa.domain.context_window import (
    ContextWindow,
    estimate_tokens,
    estimate_tokens_of,
    without_oldest,
)
from prosa.domain.message import Message, Role, Utterance
from prosa.testing.builders import a_message

PLENTY = 1_000_000

CALL = ToolCall(id="call_1", name="find_order", arguments='{"number": "7"}')
RESULT = ToolResult(call_id="call_1", content="sent on Monday")


def q(sequence: int, text: str = "question") -> Message:
    return a_message(sequence, Role.USER, text)


def a(sequence: int, text: str = "answer", *, refused: bool = False) -> Message:
    return a_message(sequence, Role.ASSISTANT, text, refused=refused)


def of_parts(sequence: int, role: Role, *parts: Part) -> Message:
    return replace(a_message(sequence, role, ""), parts=parts)


def shown(
    *history: Message, tokens: int = PLENTY, messages: int = 1000, alternating: bool = False
) -> tuple[Utterance, ...]:
    window = ContextWindow.fit(history, tokens=tokens, messages=messages, alternating=alternating)
    return window.utterances


def texts(utterances: Sequence[Utterance]) -> list[str]:
    return [text_of(utterance.parts) for utterance in utterances]


def test_a_token_is_estimated_as_three_characters_and_a_part_of_one_counts() -> None:
    assert [estimate_tokens("x" * length) for length in (0, 1, 3, 4)] == [0, 1, 1, 2]


def test_what_fits_is_shown_whole_and_oldest_first() -> None:
    utterances = shown(q(1, "q1"), a(2, "a1"), q(3, "q2"))
    assert texts(utterances) == ["q1", "a1", "q2"]
    assert [utterance.role for utterance in utterances] == [
        Role.USER,
        Role.ASSISTANT,
        Role.USER,
    ]


def test_a_model_is_shown_who_said_what_and_nothing_else() -> None:
    assert shown(q(1, "Oi")) == (Utterance(role=Role.USER, parts=(Text(text="Oi"),)),)


def test_the_newest_exchanges_are_taken_while_they_fit_in_the_tokens() -> None:
    # Each message takes 4 tokens and one for each 3 characters: an exchange of these takes 10.
    history = [q(1, "abc"), a(2, "abc"), q(3, "def"), a(4, "def"), q(5, "ghi")]
    assert texts(shown(*history, tokens=15)) == ["def", "def", "ghi"]
    assert texts(shown(*history, tokens=14)) == ["ghi"]


def test_the_newest_exchanges_are_taken_while_they_fit_in_the_messages() -> None:
    history = [q(1, "q1"), a(2, "a1"), q(3, "q2"), a(4, "a2"), q(5, "q3")]
    assert texts(shown(*history, messages=5)) == ["q1", "a1", "q2", "a2", "q3"]
    assert texts(shown(*history, messages=4)) == ["q2", "a2", "q3"]


def test_the_newest_exchange_is_taken_even_where_it_does_not_fit() -> None:
    history = [q(1, "q1"), a(2, "a1"), q(3, "x" * 300)]
    assert texts(shown(*history, tokens=5)) == ["x" * 300]
    assert texts(shown(*history, tokens=-5)) == ["x" * 300]
    assert texts(shown(*history, messages=0)) == ["x" * 300]


def test_no_exchange_is_taken_beyond_one_that_does_not_fit() -> None:
    history = [q(1, "q1"), a(2, "a1"), q(3, "x" * 300), a(4, "a2"), q(5, "q3")]
    assert texts(shown(*history, tokens=40)) == ["q3"]


def test_what_stands_before_the_first_question_is_left_out() -> None:
    assert texts(shown(a(2, "a1"), q(3, "q2"))) == ["q2"]
    assert shown(a(2, "a1")) == ()
    assert shown() == ()


def test_a_tool_call_and_its_result_stay_with_their_question() -> None:
    history = [
        q(1, "q1"),
        of_parts(2, Role.ASSISTANT, Text(text="um momento"), CALL),
        of_parts(3, Role.TOOL, RESULT),
        a(4, "a1"),
        q(5, "q2"),
    ]
    assert [utterance.parts for utterance in shown(*history, messages=5)][1:3] == [
        (Text(text="um momento"), CALL),
        (RESULT,),
    ]
    assert texts(shown(*history, messages=4)) == ["q2"]


def test_calls_and_results_are_counted_by_what_a_model_reads_of_them() -> None:
    history = [
        q(1, "q1"),
        of_parts(2, Role.ASSISTANT, CALL),
        of_parts(3, Role.TOOL, RESULT),
        q(4, "q2"),
    ]
    name_and_arguments = estimate_tokens("find_order" + '{"number": "7"}')
    needed = 4 * 4 + 2 * estimate_tokens("q1") + name_and_arguments
    needed += estimate_tokens("sent on Monday")
    assert len(shown(*history, tokens=needed)) == 4
    assert len(shown(*history, tokens=needed - 1)) == 1


def test_an_exchange_refused_before_a_model_saw_it_is_never_shown_to_one() -> None:
    history = [q(1, "q1"), a(2, "a1"), q(3, "forbidden"), a(4, "no", refused=True), q(5, "q3")]
    assert texts(shown(*history)) == ["q1", "a1", "q3"]


def test_a_refused_exchange_takes_nothing_of_the_budget() -> None:
    history = [q(1, "q1"), a(2, "a1"), q(3, "x" * 300), a(4, "no", refused=True), q(5, "q3")]
    assert texts(shown(*history, tokens=20, messages=3)) == ["q1", "a1", "q3"]


def test_an_answer_that_was_filtered_after_a_model_saw_the_question_is_not_shown_again() -> None:
    seen = a(2, "no", refused=True)
    assert seen.provenance is not None
    with_prompt = a(2).provenance
    assert with_prompt is not None
    provenance = replace(seen.provenance, prompt=with_prompt.prompt)
    history = [q(1, "q1"), replace(seen, provenance=provenance), q(3, "q2")]
    assert texts(shown(*history)) == ["q2"]


def test_an_answer_without_a_prompt_that_was_not_filtered_is_shown() -> None:
    answer = a(2, "a1")
    assert answer.provenance is not None
    canned = replace(answer, provenance=replace(answer.provenance, prompt=None))
    assert texts(shown(q(1, "q1"), canned, q(3, "q2"))) == ["q1", "a1", "q2"]


def test_a_humans_words_are_shown_as_the_assistants() -> None:
    utterances = shown(q(1), a_message(2, Role.AGENT, "Aqui é a Bia."), q(3))
    assert utterances[1].role is Role.ASSISTANT


def test_messages_in_a_row_stay_apart_unless_roles_have_to_alternate() -> None:
    history = [q(1, "Oi"), q(2, "alguém?"), a(3, "Olá"), a_message(4, Role.AGENT, "Sou a Bia.")]
    assert len(shown(*history)) == 4
    alternating = shown(*history, alternating=True)
    assert texts(alternating) == ["Oi\n\nalguém?", "Olá\n\nSou a Bia."]
    assert [utterance.role for utterance in alternating] == [Role.USER, Role.ASSISTANT]


def test_where_roles_alternate_already_nothing_is_merged() -> None:
    history = [q(1, "Oi"), a(2, "Olá"), q(3, "tchau")]
    assert shown(*history, alternating=True) == shown(*history)


def test_a_text_is_set_off_from_a_text_only_not_from_a_tool_call() -> None:
    call_then_words = [
        q(1),
        of_parts(2, Role.ASSISTANT, CALL),
        of_parts(3, Role.AGENT, Text(text="Sou a Bia.")),
    ]
    assert shown(*call_then_words, alternating=True)[1].parts == (CALL, Text(text="Sou a Bia."))
    words_then_call = [
        q(1),
        of_parts(2, Role.AGENT, Text(text="Sou a Bia.")),
        of_parts(3, Role.ASSISTANT, CALL),
    ]
    assert shown(*words_then_call, alternating=True)[1].parts == (Text(text="Sou a Bia."), CALL)


def test_three_in_a_row_become_one() -> None:
    assert texts(shown(q(1, "a"), q(2, "b"), q(3, "c"), alternating=True)) == ["a\n\nb\n\nc"]


roles = st.sampled_from(list(Role))
histories = st.lists(st.tuples(roles, st.text(max_size=20), st.booleans()), max_size=12).map(
    lambda said: [
        a_message(place, role, f"{place} {text}", refused=refused)
        for place, (role, text, refused) in enumerate(said, 1)
    ]
)


@settings(deadline=None)
@given(history=histories, tokens=st.integers(-5, 120), messages=st.integers(0, 12))
def test_a_window_is_whole_messages_in_order_from_a_question_on(
    history: list[Message], tokens: int, messages: int
) -> None:
    window = texts(shown(*history, tokens=tokens, messages=messages))
    in_order = [message.text for message in history if message.text in window]
    assert window == in_order
    if window:
        questions = [message.text for message in history if message.role is Role.USER]
        assert window[0] in questions


@settings(deadline=None)
@given(history=histories, tokens=st.integers(0, 120), messages=st.integers(0, 12))
def test_merged_or_not_the_same_words_are_shown(
    history: list[Message], tokens: int, messages: int
) -> None:
    apart = shown(*history, tokens=tokens, messages=messages)
    merged = shown(*history, tokens=tokens, messages=messages, alternating=True)
    roles_shown = [utterance.role for utterance in merged]
    assert all(one is not next_one for one, next_one in pairwise(roles_shown))
    words = [part for utterance in merged for part in utterance.parts if part != Text(text="\n\n")]
    assert words == [part for utterance in apart for part in utterance.parts]


class TestWithoutOldest:
    """What is left of a window where a model holds less than it was made for."""

    WINDOW = shown(q(1, "x" * 30), a(2, "y" * 30), q(3, "z" * 30), a(4, "w" * 30), q(5, "v" * 30))
    EACH = 4 + 10

    def test_tokens_are_estimated_as_for_a_window(self) -> None:
        assert estimate_tokens_of(self.WINDOW) == 5 * self.EACH

    def test_what_fits_stays_whole(self) -> None:
        assert without_oldest(self.WINDOW, tokens=5 * self.EACH) == self.WINDOW

    def test_whole_exchanges_are_dropped_the_oldest_first(self) -> None:
        assert without_oldest(self.WINDOW, tokens=5 * self.EACH - 1) == self.WINDOW[2:]
        assert without_oldest(self.WINDOW, tokens=3 * self.EACH - 1) == self.WINDOW[4:]

    def test_the_newest_exchange_stays_even_where_it_does_not_fit(self) -> None:
        assert without_oldest(self.WINDOW, tokens=-1) == self.WINDOW[4:]

    def test_of_nothing_nothing_is_left(self) -> None:
        assert without_oldest((), tokens=9) == ()
