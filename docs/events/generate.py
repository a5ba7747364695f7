"""Writes docs/events.md and the JSON Schemas beside this file: `make docs`."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from prosa.adapters.event_schemas import EVENTS, ReplyReady, json_schema
from prosa.entrypoints.channel_messages import MESSAGE_RECEIVED, MessageReceived

DOCS = Path(__file__).parents[1]
INTRODUCTION = Path(__file__).with_name("introduction.md")
OF_CHANNELS = """## Messages of channels

These two go through queues of your own, between a channel and Prosa, and onto no bus: they hold
what was said ([channels](channels.md)).
"""

CHANNEL_MESSAGES: Mapping[str, type[BaseModel]] = {
    MESSAGE_RECEIVED: MessageReceived,
    "conversation.reply.ready.v1": ReplyReady,
}
"""What goes between a channel and Prosa, by type."""

Schema = Mapping[str, Any]


def main() -> None:
    """Write every file."""
    for path, text in files():
        path.write_text(text, encoding="utf-8")


def files() -> Iterator[tuple[Path, str]]:
    """Give each file with its text."""
    events = {kind: json_schema(kind) for kind in EVENTS}
    messages = {kind: json_schema(kind, model) for kind, model in CHANNEL_MESSAGES.items()}
    for kind, schema in {**events, **messages}.items():
        text = json.dumps(schema, ensure_ascii=False, indent=2)
        yield DOCS / "events" / f"{kind}.json", f"{text}\n"
    parts = [INTRODUCTION.read_text(encoding="utf-8"), *chapters(events)]
    yield DOCS / "events.md", "\n".join([*parts, OF_CHANNELS, *chapters(messages)])


def chapters(schemas: Mapping[str, Schema]) -> list[str]:
    """Describe the events of each type."""
    return [chapter(kind, schema) for kind, schema in schemas.items()]


def chapter(kind: str, schema: Schema) -> str:
    """Describe the events of one type: what is fixed, then what is not."""
    found = list(fields(schema, schema))
    fixed = [f"`{name}` is `{one['const']}`" for name, one in found if "const" in one]
    rows = [row(name, one, schema) for name, one in found if "const" not in one and name != "data"]
    lines = [
        f"### `{kind}`",
        "",
        " ".join(schema["description"].split()),
        f"[Its schema](events/{kind}.json) in full.",
        "",
        "Always: " + ", ".join(fixed) + ".",
        "",
        "| field | type | what it is |",
        "|---|---|---|",
        *rows,
    ]
    return "\n".join(lines) + "\n"


def fields(part: Schema, whole: Schema, prefix: str = "") -> Iterator[tuple[str, Schema]]:
    """Go through an object's fields and those of the objects in it, by their dotted names."""
    for name, one in part["properties"].items():
        yield f"{prefix}{name}", one
        inner = resolved(one, whole)
        if "properties" in inner:
            yield from fields(inner, whole, f"{prefix}{name}.")


def resolved(field: Schema, whole: Schema) -> Schema:
    """Follow a reference, also that of a field which may be null."""
    choices = [choice for choice in field.get("anyOf", [field]) if choice.get("type") != "null"]
    reference = choices[0].get("$ref")
    found: Schema = whole["$defs"][reference.rpartition("/")[2]] if reference else choices[0]
    return found


def row(name: str, field: Schema, whole: Schema) -> str:
    """Write a field's row of the table."""
    inner = resolved(field, whole)
    type_ = inner["type"]
    if {"type": "null"} in field.get("anyOf", ()):
        type_ += " or null"
    if name not in whole["required"] and "." not in name:
        type_ += ", or absent"
    return f"| `{name}` | {type_} | {meaning(field, inner)} |"


def meaning(field: Schema, inner: Schema) -> str:
    """Say what a field is: in words, and by what it may be."""
    words = [field.get("description", inner.get("description", ""))]
    if "enum" in inner:
        words.append("One of " + ", ".join(f"`{value}`" for value in inner["enum"]) + ".")
    return " ".join(" ".join(words).split())


if __name__ == "__main__":
    main()
