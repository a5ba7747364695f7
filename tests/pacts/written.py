"""Writes the pacts anew, by the consumers' own code: `make pacts`."""

import json
import os
from collections.abc import Iterable
from pathlib import Path

from prosa.adapters.event_schemas import EVENTS
from tests.pacts import channel, event_reader, order_desk, web_client
from tests.pacts.interactions import PROVIDER, Written

WRITTEN = Path(__file__).with_name("written")
"""Where the committed pacts are."""


def main() -> None:
    """Write every pact."""
    ledger = event_reader.Ledger()
    os.environ["PACT_DO_NOT_TRACK"] = "true"
    write(web_client.CONSUMER, map(web_client.played, web_client.INTERACTIONS))
    write(order_desk.CONSUMER, map(order_desk.played, order_desk.INTERACTIONS))
    write(event_reader.CONSUMER, [event_reader.played(kind, ledger) for kind in EVENTS])
    write(channel.CONSUMER, [channel.played(channel.Channel())])


def write(consumer: str, interactions: Iterable[Written]) -> None:
    """Write a pact, without the versions of the libraries that made it."""
    pact = {
        "consumer": {"name": consumer},
        "provider": {"name": PROVIDER},
        "interactions": [*interactions],
        "metadata": {"pactSpecification": {"version": "4.0"}},
    }
    text = json.dumps(pact, ensure_ascii=False, indent=2)
    file_of(consumer).write_text(f"{text}\n", encoding="utf-8")


def file_of(consumer: str) -> Path:
    """Say where a consumer's pact is."""
    return WRITTEN / f"{consumer}-{PROVIDER}.json"


def committed(consumer: str) -> dict[str, Written]:
    """Read a consumer's pact: its interactions by their descriptions."""
    pact = json.loads(file_of(consumer).read_text(encoding="utf-8"))
    return {interaction["description"]: interaction for interaction in pact["interactions"]}


if __name__ == "__main__":
    main()
