"""Rows 12 to 17 of the fault matrix: Postgres fails, and what is answered stays true."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, TypeAlias

import asyncpg
import httpx
import pytest

from prosa.adapters.sql.connection import POOL_SIZE
from prosa.adapters.sql.migrations import migrate
from prosa.adapters.sql.tables import metadata
from prosa.settings import Settings
from tests.faults.cutting_proxy import Cut, CuttingProxy, cutting_proxy
from tests.faults.postgres_server import PostgresServer, postgres_server
from tests.faults.serving import serving

Other: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

SOON = 3.0
"""Two seconds, and what a busy machine takes."""

SOON_FOR_MANY = 6.0
"""The same for hundreds, client and server on one core; one after the other would take 14."""

CLAIM, RECORD = b"key-1", b"turn.completed"
"""A value that only the claim's save holds, and one that only the record's does."""


@pytest.fixture(scope="module")
def migrated() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        server.start()
        asyncio.run(migrate(server.url))
        server.kill()
        yield server


@pytest.fixture
def server(migrated: PostgresServer) -> Iterator[PostgresServer]:
    """Give a running server with empty tables, to be left in any state."""
    migrated.start()
    asyncio.run(empty(migrated))
    yield migrated
    migrated.kill()


async def empty(server: PostgresServer) -> None:
    async with connected(server) as other:
        names = ", ".join(f'"{table}"' for table in metadata.tables)
        await other.execute(f"truncate {names}")


@pytest.fixture
async def client(server: PostgresServer) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(settings_for(server.url)) as limited, unlimited(limited) as client:
        yield client


def unlimited(client: httpx.AsyncClient) -> httpx.AsyncClient:
    """Ask the same server by any number of connections at once: by itself httpx has a hundred."""
    limits = httpx.Limits(max_connections=None)
    return httpx.AsyncClient(base_url=client.base_url, timeout=client.timeout, limits=limits)


def settings_for(url: str, **more: Any) -> Settings:  # noqa: ANN401 - whatever a setting is
    return Settings(database_url=url, models="scripted", _env_file=None, **more)


@dataclass(frozen=True)
class Answer:
    """An answer, and after how many seconds it came."""

    response: httpx.Response
    seconds: float

    @property
    def status(self) -> int:
        return self.response.status_code

    @property
    def code(self) -> str:
        return str(self.response.json().get("code"))


async def timed(asking: Awaitable[httpx.Response]) -> Answer:
    started = time.monotonic()
    response = await asking
    return Answer(response, time.monotonic() - started)


async def send(client: httpx.AsyncClient, key: str, conversation: str | None = None) -> Answer:
    address = f"/v1/conversations/{conversation}/messages" if conversation else "/v1/messages"
    headers = {"Idempotency-Key": key}
    return await timed(client.post(address, json={"text": "Oi"}, headers=headers))


async def conversation_of(client: httpx.AsyncClient) -> str:
    started = await client.post("/v1/conversations", json={})
    return str(started.json()["id"])


async def roles(client: httpx.AsyncClient, answer: Answer) -> list[str]:
    """Say who has said something in the conversation of an answered turn."""
    conversation = answer.response.json()["conversation_id"]
    page = await client.get(f"/v1/conversations/{conversation}/messages?order=asc")
    return [message["role"] for message in page.json()["data"]]


def require_unavailable(answer: Answer) -> None:
    assert (answer.status, answer.code) == (503, "storage_unavailable")
    assert int(answer.response.headers["Retry-After"]) >= 1


@asynccontextmanager
async def connected(server: PostgresServer) -> AsyncIterator[Other]:
    """Be somebody else who uses the database."""
    other = await asyncpg.connect(server.url.replace("+asyncpg", ""))
    try:
        yield other
    finally:
        other.terminate()


@asynccontextmanager
async def holding(server: PostgresServer, *statements: str) -> AsyncIterator[Other]:
    """Be somebody else, in a transaction that is never committed."""
    async with connected(server) as other:
        for statement in ("begin", *statements):
            await other.execute(statement)
        yield other


async def until_somebody_waits(other: Other, *, what_for: str = "Lock") -> None:
    """Wait until a session does; `what_for` is a type of events that Postgres names."""
    waiting = "select count(*) from pg_stat_activity where wait_event_type = $1"
    async with asyncio.timeout(10):
        while not await other.fetchval(waiting, what_for):  # noqa: ASYNC110 - only Postgres knows
            await asyncio.sleep(0.005)


# Row 12: killed in the claim


async def test_killed_in_the_claim_it_is_503_and_the_same_key_is_answered_once_it_is_back(
    server: PostgresServer, client: httpx.AsyncClient
) -> None:
    async with holding(server, "lock table turns") as other:
        sending = asyncio.create_task(send(client, "key-1"))
        await until_somebody_waits(other)
        server.kill()
        require_unavailable(await sending)
    server.start()
    answer = await send(client, "key-1")
    assert answer.status == 200
    assert "Idempotent-Replayed" not in answer.response.headers
    assert await roles(client, answer) == ["user", "assistant"]


# Row 13: broken at a commit


@pytest.fixture
async def proxy(server: PostgresServer) -> AsyncIterator[CuttingProxy]:
    async with cutting_proxy(server.port) as proxy:
        yield proxy


@pytest.fixture
async def client_by_proxy(
    server: PostgresServer, proxy: CuttingProxy
) -> AsyncIterator[httpx.AsyncClient]:
    async with serving(settings_for(proxy.url(server.url))) as client:
        yield client


@pytest.mark.parametrize("words", [CLAIM, RECORD], ids=["claim", "record"])
async def test_a_commit_whose_confirmation_is_lost_is_found_by_reading_again(
    proxy: CuttingProxy, client_by_proxy: httpx.AsyncClient, words: bytes
) -> None:
    await send(client_by_proxy, "warm")
    proxy.break_at(words, Cut.BEFORE_THE_CLIENT_HEARS_OF_IT)
    answer = await send(client_by_proxy, "key-1")
    assert (answer.status, proxy.cuts) == (200, 1)
    assert await roles(client_by_proxy, answer) == ["user", "assistant"]
    again = await send(client_by_proxy, "key-1")
    assert again.response.headers["Idempotent-Replayed"] == "true"
    assert again.response.content == answer.response.content


@pytest.mark.parametrize("words", [CLAIM, RECORD], ids=["claim", "record"])
async def test_a_commit_that_never_arrived_is_503_and_the_same_key_is_answered(
    proxy: CuttingProxy, client_by_proxy: httpx.AsyncClient, words: bytes
) -> None:
    await send(client_by_proxy, "warm")
    proxy.break_at(words, Cut.BEFORE_THE_SERVER_HEARS_OF_IT)
    require_unavailable(await send(client_by_proxy, "key-1"))
    answer = await send(client_by_proxy, "key-1")
    assert (answer.status, proxy.cuts) == (200, 1)
    assert await roles(client_by_proxy, answer) == ["user", "assistant"]


async def test_killed_at_the_records_commit_the_same_key_finds_out_what_became_of_it(
    server: PostgresServer, client: httpx.AsyncClient
) -> None:
    """While it is away nobody can tell; the lease says when the turn may be taken over."""
    async with connected(server) as other:
        await slow_records(other)
        sending = asyncio.create_task(send(client, "key-1"))
        await until_somebody_waits(other, what_for="Timeout")
        server.kill()
    require_unavailable(await sending)
    server.start()
    async with connected(server) as other:
        await other.execute("drop trigger slow on usage; drop function slow()")
        assert (await send(client, "key-1")).code == "turn_in_progress"
        await other.execute("update turns set lease_until = now()")
    answer = await send(client, "key-1")
    assert (answer.status, answer.response.json()["attempt"]) == (200, 2)
    assert await roles(client, answer) == ["user", "assistant"]


async def slow_records(other: Other) -> None:
    """Have each save that holds what was used take long."""
    await other.execute(
        "create function slow() returns trigger language plpgsql"
        " as $$ begin perform pg_sleep(4); return new; end $$;"
        " create trigger slow before insert on usage for each row execute function slow()"
    )


# Row 14: down, and hanging


async def test_while_it_is_down_each_of_many_at_once_is_503_in_two_seconds_and_then_all_is_well(
    server: PostgresServer, client: httpx.AsyncClient
) -> None:
    assert (await send(client, "key-0")).status == 200
    server.kill()
    answers = await asyncio.gather(*(send(client, f"key-{number}") for number in range(200)))
    for answer in answers:
        require_unavailable(answer)
    assert max(answer.seconds for answer in answers) < SOON_FOR_MANY
    server.start()
    assert (await send(client, "key-1")).status == 200
    assert (await send(client, "key-0")).response.headers["Idempotent-Replayed"] == "true"


async def test_a_server_that_takes_connections_and_says_nothing_is_503_in_two_seconds(
    server: PostgresServer, client: httpx.AsyncClient
) -> None:
    """No request waits behind others that wait for a connection, too."""
    server.restart()  # so that no connection is open
    server.pause()
    answers = await asyncio.gather(*(send(client, f"key-{number}") for number in range(200)))
    for answer in answers:
        require_unavailable(answer)
    assert max(answer.seconds for answer in answers) < SOON_FOR_MANY
    server.resume()
    assert (await send(client, "key-1")).status == 200


async def test_a_server_that_hangs_in_a_turn_holds_no_answer_past_its_deadline_and_a_second(
    server: PostgresServer,
) -> None:
    async with serving(settings_for(server.url, deadline_seconds=1)) as client:
        assert (await send(client, "warm")).status == 200
        server.pause()
        answers = await asyncio.gather(*(send(client, f"key-{number}") for number in range(50)))
        for answer in answers:
            require_unavailable(answer)
        assert max(answer.seconds for answer in answers) < 1 + 1 + 1
        server.resume()
        assert (await send(client, "key-new")).status == 200


async def test_a_server_that_hangs_is_given_up_in_time_and_with_it_all_its_connections(
    server: PostgresServer, client: httpx.AsyncClient
) -> None:
    await asyncio.gather(*(send(client, f"warm-{number}") for number in range(POOL_SIZE)))
    server.pause()
    answers = await asyncio.gather(*(send(client, f"key-{number}") for number in range(3)))
    for answer in answers:
        require_unavailable(answer)
        # Six for the statement, and two to ask for a connection to look again.
        assert answer.seconds < 6 + 2 + 1
    later = await send(client, "key-9")
    require_unavailable(later)
    assert later.seconds < SOON
    server.resume()
    assert (await send(client, "key-9")).status == 200


# Row 15: no connection free


async def test_with_no_connection_free_it_is_503_and_says_when_to_come_back(
    server: PostgresServer, client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    async with holding(server, "lock table turns"):
        answers = await asyncio.gather(
            *(send(client, f"key-{number}") for number in range(4 * POOL_SIZE))
        )
        for answer in answers:
            require_unavailable(answer)
        assert max(answer.seconds for answer in answers) < SOON_FOR_MANY
        # Some waited for the lock, the others for a connection, but for no longer than two seconds.
        reasons = [record.getMessage() for record in caplog.records]
        assert sum("LockNotAvailableError" in reason for reason in reasons) >= POOL_SIZE
        assert sum("no connection free" in reason for reason in reasons) >= POOL_SIZE
    assert (await send(client, "key-1")).status == 200


async def test_a_server_that_takes_no_more_connections_is_503_and_no_more(
    server: PostgresServer, client: httpx.AsyncClient
) -> None:
    server.restart("-c", "max_connections=5", "-c", "superuser_reserved_connections=0")
    answers = await asyncio.gather(*(send(client, f"key-{number}") for number in range(60)))
    assert {answer.status for answer in answers} <= {200, 503}
    for answer in answers:
        if answer.status != 200:
            require_unavailable(answer)
    assert max(answer.seconds for answer in answers) < SOON_FOR_MANY
    assert (await send(client, "key-new")).status == 200


# Row 16: locks


async def test_a_row_that_somebody_holds_too_long_is_503_after_the_lock_timeout(
    server: PostgresServer, client: httpx.AsyncClient
) -> None:
    conversation = await conversation_of(client)
    async with holding(server, "select 1 from conversations for update"):
        answer = await send(client, "key-1", conversation)
    require_unavailable(answer)
    assert answer.seconds < SOON
    assert (await send(client, "key-1", conversation)).status == 200


async def test_a_deadlock_is_nobodys_loss(
    server: PostgresServer, client: httpx.AsyncClient
) -> None:
    server.restart("-c", "deadlock_timeout=300ms")
    conversation = await conversation_of(client)
    patiently = "set local deadlock_timeout = '10s'"
    claim = "insert into requests values ('default', '', 'take_turn', 'key-1', '', '', now())"
    async with holding(server, patiently, claim) as other:
        sending = asyncio.create_task(send(client, "key-1", conversation))
        async with connected(server) as watching:
            await until_somebody_waits(watching)
        # Each now waits for what the other holds; Postgres ends the statement of ours.
        await other.execute("update conversations set channel = 'x' where id = $1", conversation)
        assert not sending.done()
        await other.execute("rollback")
        assert (await sending).status == 200


async def test_a_transaction_undone_for_anothers_sake_is_tried_again(
    server: PostgresServer, client: httpx.AsyncClient
) -> None:
    server.restart("-c", r"default_transaction_isolation=serializable")
    conversation = await conversation_of(client)
    answers = await asyncio.gather(
        *(send(client, f"key-{number}", conversation) for number in range(20))
    )
    assert {answer.status for answer in answers} <= {200, 409}
    assert any(answer.status == 200 for answer in answers)


# Row 17: it takes no writes


async def test_what_cannot_be_written_is_not_acknowledged_and_what_was_is_still_read(
    server: PostgresServer, client: httpx.AsyncClient
) -> None:
    written = await send(client, "key-0")
    server.restart("-c", "default_transaction_read_only=on")
    require_unavailable(await send(client, "key-1"))
    assert await roles(client, written) == ["user", "assistant"]
    server.restart()
    answer = await send(client, "key-1")
    assert answer.status == 200
    assert "Idempotent-Replayed" not in answer.response.headers


async def test_a_full_disk_in_a_claim_is_503_and_leaves_nothing(
    server: PostgresServer, client: httpx.AsyncClient
) -> None:
    """The code is what counts: filling a disk would not be kind to the machine."""
    async with connected(server) as other:
        await other.execute(
            "create function full_disk() returns trigger language plpgsql"
            " as $$ begin raise exception 'no space left' using errcode = '53100'; end $$;"
            " create trigger full_disk before insert on outbox execute function full_disk()"
        )
        require_unavailable(await send(client, "key-1"))
        assert await other.fetchval("select count(*) from requests where key = 'key-1'") == 0
        await other.execute("drop trigger full_disk on outbox; drop function full_disk()")
    assert (await send(client, "key-1")).status == 200


async def test_a_server_that_is_told_to_stop_or_is_still_starting_is_503(
    server: PostgresServer, client: httpx.AsyncClient
) -> None:
    async with holding(server, "lock table turns") as other:
        sending = asyncio.create_task(send(client, "key-1"))
        await until_somebody_waits(other)
        server.stop()
        require_unavailable(await sending)
    signal = server.files / "standby.signal"
    signal.touch()
    server.start("-c", "hot_standby=off", wait=False)
    require_unavailable(await send(client, "key-1"))
    server.kill()
    signal.unlink()
    server.start()
    assert (await send(client, "key-1")).status == 200
