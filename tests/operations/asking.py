"""Asks servers as a careful client does: what may be tried again is, with the same key."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx

from prosa.bootstrap import App
from prosa.entrypoints.http.app import create_app
from tests.entrypoints.http.serving import served_on_loopback
from tests.faults.promises import published_events

SECONDS = 60
"""Far more than any answer takes, also on a busy machine."""

PASSING = frozenset({409, 503, 504})


@asynccontextmanager
async def served_without_chores(app: App) -> AsyncIterator[httpx.AsyncClient]:
    """Serve an opened app that relays and recovers nothing by itself."""
    async with served_on_loopback(create_app(lambda: nullcontext(replace(app, chores=())))) as it:
        it.timeout = httpx.Timeout(SECONDS)
        yield it


async def say(
    client: httpx.AsyncClient, text: str, *, key: str, conversation_id: str | None = None
) -> httpx.Response:
    """Send a message until its answer is there."""
    body = {"text": text, **({"conversation_id": conversation_id} if conversation_id else {})}
    async with asyncio.timeout(SECONDS):
        while True:
            answer = await client.post("/v1/messages", json=body, headers={"Idempotency-Key": key})
            if answer.status_code not in PASSING:
                assert answer.status_code == 200, answer.text
                return answer
            await asyncio.sleep(0.1)


async def read_messages(client: httpx.AsyncClient, conversation_id: str) -> list[dict[str, Any]]:
    """Read what was said in a conversation."""
    answer = await client.get(f"/v1/conversations/{conversation_id}/messages")
    assert answer.status_code == 200, answer.text
    messages: list[dict[str, Any]] = answer.json()["data"]
    return messages


def sequences(sink: Path, conversation_id: str) -> list[int]:
    """List the places of a conversation's events, in the order in which each came first."""
    found = {
        event["id"]: event["data"]["sequence"]
        for event in published_events(sink)
        if event["subject"] == conversation_id
    }
    return list(found.values())
