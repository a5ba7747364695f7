"""The thin floor: as little Python as FastAPI, asyncpg, aiohttp and orjson allow; no guarantee."""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import aiohttp
import asyncpg
import orjson
from fastapi import FastAPI, Request, Response

MODEL_CONNECTIONS = 512
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
JSON = {"content-type": "application/json"}


async def _keep_session(_: asyncpg.Connection) -> None:
    """Skip the pool's reset query: nothing here changes a session's settings."""


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """Open the pool and the client, both wide enough for the busiest run."""
    connector = aiohttp.TCPConnector(limit=MODEL_CONNECTIONS)
    async with (
        asyncpg.create_pool(
            os.environ["FLOOR_DATABASE_URL"], min_size=32, max_size=32, reset=_keep_session
        ) as pool,
        aiohttp.ClientSession(
            connector=connector, headers=JSON, cookie_jar=aiohttp.DummyCookieJar()
        ) as client,
    ):
        await pool.execute(TABLE)
        app.state.pool, app.state.client = pool, client
        app.state.model_url = os.environ["FLOOR_MODEL_URL"] + "/chat/completions"
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/readyz")
async def ready() -> None:
    """Answer 200: the lifespan has opened everything."""


@app.post("/message")
@app.post("/v1/messages")
async def take_turn(request: Request) -> Response:
    """Load the last messages, ask the model, store both messages."""
    message = orjson.loads(await request.body())
    text, known = message["text"], message.get("conversation_id")
    conversation_id = UUID(known) if known else uuid4()
    history = await _load(conversation_id) if known else []
    reply = await _ask([*history, {"role": "user", "content": text}])
    await app.state.pool.execute(ADD_BOTH, conversation_id, text, reply)
    answer = orjson.dumps({"conversation_id": conversation_id, "reply": reply})
    return Response(answer, media_type="application/json")


async def _load(conversation_id: UUID) -> list[dict[str, str]]:
    rows = await app.state.pool.fetch(LAST_20, conversation_id)
    return [{"role": row["role"], "content": row["text"]} for row in reversed(rows)]


async def _ask(messages: list[dict[str, str]]) -> str:
    body = orjson.dumps({"model": "mock", "messages": messages})
    async with app.state.client.post(app.state.model_url, data=body) as response:
        response.raise_for_status()
        completion: dict[str, Any] = orjson.loads(await response.read())
    text: str = completion["choices"][0]["message"]["content"]
    return text
