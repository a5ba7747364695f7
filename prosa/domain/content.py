"""What messages and replies are made of: words, tool calls and their results."""

from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """Words."""

    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCall:
    """The assistant asks for a tool: `arguments` is a JSON object, as the model wrote it."""

    id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolResult:
    """What the tool of the call `call_id` answered."""

    call_id: str
    content: str


Part = Text | ToolCall | ToolResult


def text_of(parts: Iterable[Part]) -> str:
    """Join the words among the parts; tool calls and results add none."""
    return "".join([part.text for part in parts if isinstance(part, Text)])
