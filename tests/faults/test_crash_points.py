"""A process is killed at every point at which it may be, and another goes on: nothing is lost.

The killed one is a real server on a real Postgres. Its client repeats all that it asked, with the
same keys, at a second server; then turns are recovered and events relayed, and the promises are
checked from outside.
"""

import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from embedded_aws.loopback_server import Received, Step
from prosa.application.accept_turn import CustomerMessage
from prosa.bootstrap import App
from prosa.settings import Settings
from tests.entrypoints.http.serving import problem_in, turn_in
from tests.faults import provider as faults
from tests.faults.crash_points import POINTS
from tests.faults.crashing_server import CrashingServer
from tests.faults.promises import (
    Ledger,
    broken_promises,
    come_to_rest,
    let_leases_run_out,
    published_events,
)
from tests.faults.provider import FaultyProvider, asked_in
from tests.faults.serving import opened

MESSAGE = "Cadê meu pedido?"
UNLUCKY = "Quero trocar o tamanho."
"""The first attempt at an answer to this fails."""

SETTINGS = {"models": "openai:primary", "deadline_seconds": "5"}

TRIES = 10
"""How often a client asks again before it gives up."""

PASSINGS = [
    *((point, 1) for point in POINTS),
    # A relay that has published before, and dies with the event of the completed turn.
    *((f"{side} {what}", 3) for what in ("publish", "settle") for side in ("before", "after")),
]


@dataclass(frozen=True, kw_only=True)
class Crash:
    """A server that was killed, what its clients were told, and the one that goes on."""

    app: App
    survivor: httpx.AsyncClient
    killed: CrashingServer
    ledger: Ledger
    provider: FaultyProvider
    database_url: str
    sink: Path

    async def let_leases_run_out(self) -> None:
        await let_leases_run_out(self.database_url)

    async def broken_promises(self) -> list[str]:
        """Recover, relay, and look."""
        await self.let_leases_run_out()
        await come_to_rest(self.app, self.database_url)
        return await broken_promises(self.database_url, self.sink, self.ledger)


Killed = Callable[..., AbstractAsyncContextManager[Crash]]


@pytest.fixture
def killed(database_url: str, provider: FaultyProvider, tmp_path: Path) -> Killed:
    sink = tmp_path / "events.log"
    provider.faults["primary"] = unlucky_at_first()

    @asynccontextmanager
    async def killed_at(point: str, passing: int = 1) -> AsyncIterator[Crash]:
        given = {**SETTINGS, "openai_base_url": provider.url, "database_url": database_url}
        variables = {f"PROSA_{name.upper()}": value for name, value in given.items()}
        server = CrashingServer(point, passing, variables, sink)
        settings = Settings(**given)
        try:
            async with opened(settings, sink) as (app, survivor):
                crash = Crash(
                    app=app,
                    survivor=survivor,
                    killed=server,
                    ledger=Ledger(),
                    provider=provider,
                    database_url=database_url,
                    sink=sink,
                )
                yield crash
        finally:
            server.kill()

    return killed_at


def unlucky_at_first() -> faults.Fault:
    """Fail one attempt at one message, at its first call, and answer everything else."""
    failing = faults.first(faults.no_credit)

    def answering(received: Received) -> Iterable[Step]:
        return failing(received) if asked_in(received) == UNLUCKY else faults.well(received)

    return answering


@pytest.mark.parametrize(("point", "passing"), PASSINGS)
async def test_wherever_a_process_is_killed_another_goes_on_and_every_promise_is_kept(
    killed: Killed, point: str, passing: int
) -> None:
    async with killed(point, passing) as crash:
        await leave_crashed_turns(crash)
        crash.killed.start()
        async with httpx.AsyncClient(base_url=crash.killed.url, timeout=20) as client:
            with contextlib.suppress(httpx.TransportError):
                await do_all(client, crash.ledger)
        assert crash.killed.dies(), f"{point} was never reached"
        await crash.let_leases_run_out()
        await do_all(crash.survivor, crash.ledger)
        assert await crash.broken_promises() == []


async def leave_crashed_turns(crash: Crash) -> None:
    """Claim turns that nobody goes on with: one whose caller waits, and one that runs alone."""
    for key, waits in (("waited for", True), ("alone", False)):
        message = CustomerMessage(text=MESSAGE, idempotency_key=key, caller_waits=waits)
        accepted = await crash.app.take_turn.accept(message)
        crash.ledger.texts[key] = MESSAGE
        crash.ledger.acknowledge(key, accepted.turn.id)
    await crash.let_leases_run_out()


async def do_all(client: httpx.AsyncClient, ledger: Ledger) -> None:
    """Ask for all that there is, each with a key, as often as it needs."""
    started = await client.post("/v1/conversations", json={}, headers={"Idempotency-Key": "start"})
    address = f"/v1/conversations/{started.json()['id']}"
    await have_answered(client, ledger, f"{address}/messages", "first", MESSAGE)
    await have_answered(client, ledger, f"{address}/messages", "second", UNLUCKY)
    closed = await client.post(f"{address}/close")
    assert closed.json()["status"] == "closed"


async def have_answered(
    client: httpx.AsyncClient, ledger: Ledger, address: str, key: str, text: str
) -> None:
    """Ask until there is an answer, and note what is told."""
    ledger.texts[key] = text
    for _ in range(TRIES):
        response = await ask(client, key, address, text)
        if turn_id := response.json().get("turn_id"):
            ledger.acknowledge(key, turn_id)
        if response.status_code == 200:
            turn = turn_in(response)
            ledger.acknowledge(key, turn.id)
            assert turn.reply is not None
            ledger.answer(key, turn.reply.text)
            return
    pytest.fail(f"{key} has no answer after {TRIES} tries")


async def ask(
    client: httpx.AsyncClient,
    key: str,
    address: str = "/v1/messages",
    text: str = MESSAGE,
) -> httpx.Response:
    return await client.post(address, json={"text": text}, headers={"Idempotency-Key": key})


async def die(crash: Crash) -> None:
    """Ask the server that is to be killed; its client sees the connection break."""
    crash.ledger.texts["k"] = MESSAGE
    crash.killed.start()
    async with httpx.AsyncClient(base_url=crash.killed.url, timeout=20) as client:
        with pytest.raises(httpx.TransportError):
            await ask(client, "k")
    assert crash.killed.dies()


# 1


async def test_killed_before_the_claim_is_committed_the_retry_runs_fresh(killed: Killed) -> None:
    async with killed("before claim") as crash:
        await die(crash)
        response = await ask(crash.survivor, "k")
        assert turn_in(response).attempt == 1
        assert "idempotent-replayed" not in response.headers
        assert crash.provider.calls_by_message[MESSAGE] == 1
        assert await crash.broken_promises() == []


# 2, 3


@pytest.mark.parametrize(
    ("point", "calls"),
    [("after claim", 1), ("before model call", 1), ("after model call", 2), ("before record", 2)],
)
async def test_killed_in_a_turn_the_key_is_busy_until_the_lease_runs_out_and_then_answered(
    killed: Killed, point: str, calls: int
) -> None:
    async with killed(point) as crash:
        await die(crash)
        busy = await ask(crash.survivor, "k")
        assert busy.status_code == 409
        assert problem_in(busy)["code"] == "turn_in_progress"
        crash.ledger.acknowledge("k", str(problem_in(busy)["turn_id"]))
        await crash.let_leases_run_out()
        taken_over = turn_in(await ask(crash.survivor, "k"))
        assert taken_over.attempt == 2
        assert taken_over.reply is not None
        crash.ledger.acknowledge("k", taken_over.id)
        assert crash.provider.calls_by_message[MESSAGE] == calls, "only an unfinished call is paid"
        assert await crash.broken_promises() == []


# 4


async def test_killed_after_the_record_is_committed_the_retry_is_given_the_same_answer(
    killed: Killed,
) -> None:
    async with killed("after record") as crash:
        await die(crash)
        replayed = await ask(crash.survivor, "k")
        again = await ask(crash.survivor, "k")
        assert replayed.headers["idempotent-replayed"] == "true"
        assert replayed.content == again.content
        assert turn_in(replayed).attempt == 1
        assert crash.provider.calls_by_message[MESSAGE] == 1
        assert await crash.broken_promises() == []


# 29


async def test_a_relay_killed_between_publishing_and_marking_publishes_the_same_event_again(
    killed: Killed,
) -> None:
    async with killed("after publish") as crash:
        await die(crash)
        published = [event["id"] for event in published_events(crash.sink)]
        assert len(published) == 1
        assert await crash.broken_promises() == []
        again = [event["id"] for event in published_events(crash.sink)]
    assert again.count(published[0]) == 2
