"""The usual floor: a turn by FastAPI, asyncpg and httpx, written as usual; no guarantee."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import UUID, uuid4

import asyncpg
import httpx
from fastapi import FastAPI
from pydantic import BaseModel

MODEL_CONNECTIONS = 256
TABLE = """
create table if not exists messages (
    id bigint generated always as identity primary key,
    conversation_id uuid not null,
    role text not null,
    text text not null,
    created_at timestamptz not null default now()
);
create index if not exists messages_of_conversation on messages (conversation_id, id);
"""
LAST_20 = "select role, text from messages where conversation_id = $1 order by id desc limit 20"
ADD_BOTH = """
insert into messages (conversation_id, role, text) values ($1, 'user', $2), ($1, 'assistant', $3)
"""


class MessageIn(BaseModel):
    """What a customer sends."""

    text: str
    conversation_id: UUID | None = None


class ReplyOut(BaseModel):
    """What comes back."""

    conversation_id: UUID
    reply: str


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the pool and the client, both wide enough for the busiest run."""
    limits = httpx.Limits(
        max_connections=MODEL_CONNECTIONS, max_keepalive_connections=MODEL_CONNECTIONS
    )
    async with (
        asyncpg.create_pool(os.environ["FLOOR_DATABASE_URL"], min_size=32, max_size=32) as pool,
        httpx.AsyncClient(
            base_url=os.environ["FLOOR_MODEL_URL"], limits=limits, timeout=60
        ) as client,
    ):
        await pool.execute(TABLE)
        app.state.pool, app.state.client = pool, client
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/readyz")
async def ready() -> None:
    """Answer 200: the lifespan has opened everything."""


@app.post("/message")
@app.post("/v1/messages")
async def take_turn(message: MessageIn) -> ReplyOut:
    """Load the last messages, ask the model, store both messages."""
    conversation_id = message.conversation_id or uuid4()
    history = await _load(message.conversation_id) if message.conversation_id else []
    reply = await _ask([*history, {"role": "user", "content": message.text}])
    await app.state.pool.execute(ADD_BOTH, conversation_id, message.text, reply)
    return ReplyOut(conversation_id=conversation_id, reply=reply)


async def _load(conversation_id: UUID) -> list[dict[str, str]]:
    rows = await app.state.pool.fetch(LAST_20, conversation_id)
    return [{"role": row["role"], "content": row["text"]} for row in reversed(rows)]


async def _ask(messages: list[dict[str, str]]) -> str:
    response = await app.state.client.post(
        "/chat/completions", json={"model": "mock", "messages": messages}
    )
    response.raise_for_status()
    text: str = response.json()["choices"][0]["message"]["content"]
    return text
