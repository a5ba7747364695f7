"""Content: words, tool calls and their results."""

from prosa.domain.content import Text, ToolCall, ToolResult, text_of

CALL = ToolCall(id="call_1", name="find_order", arguments='{"number": "7"}')


def test_the_words_of_several_texts_are_joined_as_they_stand() -> None:
    assert text_of([Text(text="Olá, "), Text(text="Ana.")]) == "Olá, Ana."


def test_tool_calls_and_their_results_are_no_words() -> None:
    parts = (Text(text="Vou olhar."), CALL, ToolResult(call_id="call_1", content="sent"))
    assert text_of(parts) == "Vou olhar."


def test_nothing_said_is_no_words() -> None:
    assert text_of([]) == ""
