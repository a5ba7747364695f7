"""Messages: what is said, and by whom."""

from dataclasses import replace

from prosa.domain.content import Text, ToolCall
from prosa.domain.message import Role
from prosa.testing.builders import a_message


def test_the_text_of_a_message_is_its_words() -> None:
    call = ToolCall(id="call_1", name="find_order", arguments="{}")
    parts = (Text(text="Vou olhar. "), call, Text(text="Um momento."))
    message = replace(a_message(1, Role.ASSISTANT, ""), parts=parts)
    assert message.text == "Vou olhar. Um momento."


def test_a_message_has_no_metadata_unless_somebody_attaches_some() -> None:
    assert a_message(1, Role.USER, "Oi").metadata == {}
