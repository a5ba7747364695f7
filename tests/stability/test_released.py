"""What was released is not broken: the API and the events compared with those of last time.

A break is meant to be seen. Where it is wanted, CONTRIBUTING.md says what to do.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from docs.api.generate import DOCUMENT, EVENTS, RELEASED, document
from tests.stability import openapi
from tests.stability.schemas import Change

RELEASED_EVENTS = sorted(path for path in RELEASED.glob("*.json") if path.name != DOCUMENT.name)
SENT_TO_US = {"conversation.message.received.v1.json"}
"""Channels write these and Prosa reads them; of all others it is the other way round."""


def read(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return found


def test_the_committed_document_describes_the_api() -> None:
    assert DOCUMENT.read_text(encoding="utf-8") == document(), "write it anew: make docs"


def test_the_api_does_all_that_it_did_when_it_was_released() -> None:
    assert [*openapi.breaks(read(RELEASED / DOCUMENT.name), read(DOCUMENT))] == []


@pytest.mark.parametrize("released", RELEASED_EVENTS, ids=lambda path: path.stem)
def test_an_event_says_all_that_it_said_when_it_was_released(released: Path) -> None:
    was, now = read(released), read(EVENTS / released.name)
    sent = released.name in SENT_TO_US
    change = Change(was=was, now=now, old=was, new=now, sent=sent, path=released.stem)
    assert [*change.breaks()] == []


def test_every_document_that_was_released_is_compared() -> None:
    assert len(RELEASED_EVENTS) == 8
    assert (RELEASED / DOCUMENT.name).exists()
