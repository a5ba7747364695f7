"""The floor of a function: the usual floor's turn under Mangum, opened once, in one loop."""

import asyncio
import os

import asyncpg
import httpx
from mangum import Mangum

from benchmarks.floors.usual import TABLE, app

CONNECTIONS = 4


async def _open() -> None:
    """Open the pool and the client: one invocation at a time needs few connections."""
    pool = await asyncpg.create_pool(
        os.environ["FLOOR_DATABASE_URL"], min_size=1, max_size=CONNECTIONS
    )
    await pool.execute(TABLE)
    client = httpx.AsyncClient(base_url=os.environ["FLOOR_MODEL_URL"], timeout=60)
    app.state.pool, app.state.client = pool, client


_runner = asyncio.Runner()
_runner.run(_open())
handler = Mangum(app, lifespan="off")
