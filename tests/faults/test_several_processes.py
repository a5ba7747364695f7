"""Two server processes on one Postgres keep each other's promises.

Rows 5, 7 and 9 of the fault matrix.
"""

import asyncio
import signal
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.entrypoints.http.serving import problem_in, turn_in
from tests.faults import provider as faults
from tests.faults.crash_points import NOWHERE
from tests.faults.crashing_server import CrashingServer
from tests.faults.promises import let_leases_run_out
from tests.faults.provider import FaultyProvider
from tests.waiting import until

KEY = {"Idempotency-Key": "k"}
BODY = {"text": "Oi"}
SECONDS = 30


@dataclass(frozen=True)
class Server:
    """A process, and a client that talks to it."""

    process: CrashingServer
    client: httpx.AsyncClient


@pytest.fixture
async def servers(
    database_url: str, provider: FaultyProvider, tmp_path: Path
) -> AsyncIterator[list[Server]]:
    variables = {
        "PROSA_DATABASE_URL": database_url,
        "PROSA_MODELS": "openai:primary",
        "PROSA_OPENAI_BASE_URL": provider.url,
    }
    processes = [
        CrashingServer(NOWHERE, 1, variables, tmp_path / f"{number}.log") for number in range(2)
    ]
    servers = [
        Server(process, httpx.AsyncClient(base_url=process.url, timeout=SECONDS))
        for process in processes
    ]
    for server in servers:
        server.process.start()
    yield servers
    for server in servers:
        await server.client.aclose()
        server.process.kill()


# 5


async def test_what_a_paused_process_found_out_is_discarded_once_another_took_over(
    servers: list[Server], provider: FaultyProvider, database_url: str
) -> None:
    zombie, other = servers
    answered = faults.numbered()
    paused = asyncio.Event()
    provider.faults["primary"] = faults.held(paused.is_set, answered)
    late = asyncio.create_task(zombie.client.post("/v1/messages", json=BODY, headers=KEY))
    async with asyncio.timeout(SECONDS):
        await provider.asked()
    zombie.process.send(signal.SIGSTOP)
    paused.set()
    await let_leases_run_out(database_url)
    told = await other.client.post("/v1/messages", json=BODY, headers=KEY)
    zombie.process.send(signal.SIGCONT)
    refused = await late
    assert turn_in(told).attempt == 2
    assert refused.status_code == 409
    assert problem_in(refused)["code"] == "turn_in_progress"
    for server in servers:
        again = await server.client.post("/v1/messages", json=BODY, headers=KEY)
        assert again.content == told.content
    address = f"/v1/conversations/{turn_in(told).conversation_id}/messages"
    listed = (await other.client.get(address)).json()["data"]
    assert [message["role"] for message in listed] == ["user", "assistant"]
    assert provider.calls["primary"] == 2


# 7


async def test_of_fifty_requests_with_one_key_at_two_servers_one_runs_and_the_others_learn_of_it(
    servers: list[Server], provider: FaultyProvider
) -> None:
    all_told = asyncio.Event()
    provider.faults["primary"] = faults.held(all_told.is_set, faults.numbered())
    asking = [
        asyncio.create_task(servers[number % 2].client.post("/v1/messages", json=BODY, headers=KEY))
        for number in range(50)
    ]
    # The turn runs until all others have their answers.
    await until(lambda: sum(one.done() for one in asking) == 49)
    all_told.set()
    answers = await asyncio.gather(*asking)
    told = [answer for answer in answers if answer.status_code == 200]
    refused = [answer for answer in answers if answer.status_code != 200]
    assert told
    assert len({answer.content for answer in told}) == 1
    assert [answer.headers.get("idempotent-replayed") for answer in told].count(None) == 1
    for answer in refused:
        assert answer.status_code == 409
        assert problem_in(answer)["code"] == "turn_in_progress"
    assert provider.calls["primary"] == 1
    again = [await server.client.post("/v1/messages", json=BODY, headers=KEY) for server in servers]
    assert {answer.content for answer in again} == {told[0].content}


# 9


async def test_of_twenty_messages_at_once_in_one_conversation_each_is_answered_in_its_turn(
    servers: list[Server], provider: FaultyProvider
) -> None:
    provider.faults["primary"] = faults.numbered()
    first = turn_in(await servers[0].client.post("/v1/messages", json=BODY))
    address = f"/v1/conversations/{first.conversation_id}/messages"
    refusals: Counter[str] = Counter()

    async def insist(number: int) -> None:
        headers = {"Idempotency-Key": f"key-{number}"}
        body = {"text": f"pergunta {number}"}
        while True:
            answer = await servers[number % 2].client.post(address, json=body, headers=headers)
            if answer.status_code == 200:
                return
            assert answer.status_code == 409
            refusals[str(problem_in(answer)["code"])] += 1
            await asyncio.sleep(0.02)

    async with asyncio.timeout(SECONDS):
        await asyncio.gather(*(insist(number) for number in range(20)))
    assert set(refusals) == {"conversation_busy"}
    listed = (await servers[1].client.get(address, params={"limit": 100})).json()["data"]
    assert [message["role"] for message in listed] == ["user", "assistant"] * 21
    assert [message["sequence"] for message in listed] == list(range(1, 43))
    assert provider.calls["primary"] == 21
