"""What was promised, checked from outside: by the database, the event sink and a ledger of answers.

I1 no acknowledged message is lost; I2 a key has one reply at most; I3 messages are in order and
without gaps; I4 the events of every committed turn reach the bus, in order within a conversation.
"""

import asyncio
import contextlib
import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg

from prosa.adapters.event_format import SOURCE
from prosa.bootstrap import App

SECONDS_TO_REST = 20
"""Far more than there is to do, once what was lent to the dead has run out."""


@dataclass
class Ledger:
    """What clients were told, key by key."""

    texts: dict[str, str] = field(default_factory=dict)
    """What the client of a key said."""
    turns: dict[str, str] = field(default_factory=dict)
    """The turn of each key whose message was acknowledged."""
    replies: dict[str, str] = field(default_factory=dict)
    """The reply that the client of a key was given."""
    untrue: list[str] = field(default_factory=list)
    """What was told differently from before."""

    def acknowledge(self, key: str, turn_id: str) -> None:
        """Note that a key's message is stored."""
        if self.turns.setdefault(key, turn_id) != turn_id:
            self.untrue.append(f"I2: {key} has two turns")

    def answer(self, key: str, reply: str) -> None:
        """Note the reply that a client was given."""
        if self.replies.setdefault(key, reply) != reply:
            self.untrue.append(f"I2: {key} was given two replies")


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What the database holds, table by table."""

    conversations: list[asyncpg.Record]
    turns: dict[str, asyncpg.Record]
    messages: list[asyncpg.Record]
    requests: dict[str, str]
    outbox: list[asyncpg.Record]


async def broken_promises(database_url: str, sink: Path, ledger: Ledger) -> list[str]:
    """Say of each promise that is broken what breaks it; all turns are over, all events relayed."""
    stored = await _read(database_url)
    return [
        *ledger.untrue,
        *_lost_messages(stored, ledger),
        *_second_replies(stored, ledger),
        *_gaps(stored),
        *_events_astray(stored, sink),
        *(f"turn {id_} still runs" for id_, turn in stored.turns.items() if _runs(turn)),
    ]


async def let_leases_run_out(database_url: str) -> None:
    """Move what was lent to the dead into the past: turns, and events that a relay had taken."""
    connection = await asyncpg.connect(plain(database_url))
    try:
        await connection.execute(
            "update turns set lease_until = lease_until - interval '1 hour',"
            " deadline = deadline - interval '1 hour' where status = 'running'"
        )
        await connection.execute("update outbox set next_try_at = null where published_at is null")
    finally:
        await connection.close()


async def come_to_rest(app: App, database_url: str) -> None:
    """Recover and relay until no turn runs and no event waits: others may be at it, too.

    What does not come to rest is left to be found.
    """
    connection = await asyncpg.connect(plain(database_url))
    try:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(SECONDS_TO_REST):
                while await connection.fetchval(_IS_AT_WORK):
                    await app.recover_turns()
                    await app.relay_outbox()
                    await asyncio.sleep(0.02)
    finally:
        await connection.close()


_IS_AT_WORK = """
    select exists (select from turns where status = 'running')
        or exists (select from outbox where published_at is null)
"""


async def _read(database_url: str) -> Stored:
    connection = await asyncpg.connect(plain(database_url))
    try:
        fetch = connection.fetch
        return Stored(
            conversations=await fetch("select * from conversations"),
            turns={turn["id"]: turn for turn in await fetch("select * from turns")},
            messages=await fetch("select * from messages order by conversation_id, sequence"),
            requests={row["key"]: row["resource_id"] for row in await fetch(_CLAIMED_KEYS)},
            outbox=await fetch("select * from outbox order by conversation_id, sequence"),
        )
    finally:
        await connection.close()


_CLAIMED_KEYS = "select key, resource_id from requests where operation = 'take_turn'"


def plain(database_url: str) -> str:
    """Give an address without SQLAlchemy's word for the driver."""
    return database_url.replace("postgresql+asyncpg://", "postgresql://")


def _lost_messages(stored: Stored, ledger: Ledger) -> Iterator[str]:
    said = {
        message["turn_id"]: json.loads(message["parts"])[0]["text"]
        for message in stored.messages
        if message["role"] == "user"
    }
    for key, turn_id in ledger.turns.items():
        if said.get(turn_id) != ledger.texts[key]:
            yield f"I1: the message of {key} was acknowledged and is not stored"
        if stored.requests.get(key) != turn_id:
            yield f"I2: {key} is not stored with the turn that was told"


def _second_replies(stored: Stored, ledger: Ledger) -> Iterator[str]:
    replies: defaultdict[str, list[str]] = defaultdict(list)
    for message in stored.messages:
        if message["role"] == "assistant":
            texts = [part["text"] for part in json.loads(message["parts"])]
            replies[message["turn_id"]].append("".join(texts))
    for turn_id, found in replies.items():
        if len(found) > 1:
            yield f"I2: turn {turn_id} has {len(found)} replies"
        if stored.turns[turn_id]["status"] != "completed":
            yield f"I2: turn {turn_id} has a reply and is {stored.turns[turn_id]['status']}"
    for key, told in ledger.replies.items():
        if replies[ledger.turns[key]] != [told]:
            yield f"I2: the reply that {key} was given is not the stored one"


def _gaps(stored: Stored) -> Iterator[str]:
    sequences: defaultdict[str, list[int]] = defaultdict(list)
    for message in stored.messages:
        sequences[message["conversation_id"]].append(message["sequence"])
    for conversation in stored.conversations:
        count = conversation["message_count"]
        if sequences[conversation["id"]] != list(range(1, count + 1)):
            yield f"I3: {conversation['id']} has gaps: {sequences[conversation['id']]} of {count}"


def _events_astray(stored: Stored, sink: Path) -> Iterator[str]:
    committed: defaultdict[str, list[str]] = defaultdict(list)
    for entry in stored.outbox:
        committed[entry["conversation_id"]].append(entry["event_id"])
        if entry["published_at"] is None:
            yield f"I4: {entry['event_id']} is not marked as published"
    published = first_published(sink)
    for conversation in stored.conversations:
        place = conversation["id"]
        if len(committed[place]) != conversation["event_count"]:
            yield f"I4: {place} has lost events"
        if published[place] != committed[place]:
            yield f"I4: of {place} were published {published[place]}, not {committed[place]}"
    for place in published.keys() - {conversation["id"] for conversation in stored.conversations}:
        yield f"I4: events of {place} were published, which was never committed"


def first_published(sink: Path) -> defaultdict[str, list[str]]:
    """List the events of each conversation in the order in which the bus first took them."""
    found: defaultdict[str, list[str]] = defaultdict(list)
    for event in published_events(sink):
        if event["id"] not in found[event["subject"]]:
            found[event["subject"]].append(event["id"])
    return found


def published_events(sink: Path) -> list[dict[str, Any]]:
    """Read what servers have written to the log as their bus, as often as it was published."""
    lines = sink.read_text().splitlines() if sink.exists() else []
    written = (line.partition("prosa.events: ")[2] for line in lines)
    events = [json.loads(envelope) for envelope in written if envelope]
    return [event for event in events if event["source"] == SOURCE]


def _runs(turn: asyncpg.Record) -> bool:
    return bool(turn["status"] == "running")
