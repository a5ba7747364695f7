"""Chaos: servers and their database are killed while impatient clients ask, and all is kept.

Several `prosa serve` on one Postgres, with a provider that fails in many ways. Clients give up,
come back with their key, and keep a ledger of what they were told. In the end everything is
recovered and relayed, and the promises are checked from outside.

By hand: python -m tests.faults.chaos --seconds 300 --servers 3. What it does depends on time, too:
a seed makes a run alike, not equal.
"""

import argparse
import asyncio
import random
import secrets
import signal
import sys
import tempfile
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx

from embedded_aws.loopback_server import Received, Step
from prosa.adapters.sql.migrations import migrate
from prosa.settings import Settings
from tests.entrypoints.http.serving import LATER, STREAM, events_in
from tests.faults import provider as faults
from tests.faults.postgres_server import PostgresServer, postgres_server
from tests.faults.promises import Ledger, broken_promises, come_to_rest, let_leases_run_out
from tests.faults.provider import Fault, faulty_provider
from tests.faults.serving import ServerProcess, opened

DEADLINE = 2
CLIENTS = 8
OPEN_KEYS = 6
"""How many unanswered messages a client has at most before it asks for nothing new."""

LAST_TRIES = 20
ASKED_AGAIN_AFTER = 0.2

EXPECTED = frozenset({200, 202, 409, 502, 503, 504})
"""What a client may be told. Anything else is a bug."""

TROUBLES: tuple[Fault, ...] = (
    faults.storm,
    faults.storm,
    faults.after(0.3),
    faults.cut_before_the_first_token,
    faults.cut_midway,
    faults.truncated,
    faults.malformed,
    faults.hang,
    faults.drip,
)


@dataclass
class Chaos:
    """One run: what is attacked, and what came of it."""

    seed: int
    postgres: PostgresServer
    servers: list[ServerProcess]
    ledger: Ledger = field(default_factory=Ledger)
    server_kills: int = 0
    database_kills: int = 0
    requests: int = 0
    given_up: int = 0
    replays: int = 0
    violations: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        """Sum it up."""
        return (
            f"chaos: {len(self.ledger.turns)} turns acknowledged, {len(self.ledger.replies)} "
            f"answered by {self.requests} requests, of which {self.given_up} broke or were given "
            f"up and {self.replays} replayed; {self.server_kills} servers and "
            f"{self.database_kills} databases killed; {len(self.violations)} violations; "
            f"seed {self.seed}"
        )


class Client:
    """Asks, gives up, and comes back with the same key."""

    def __init__(self, chaos: Chaos, number: int) -> None:
        self._chaos = chaos
        self._name = f"client-{number}"
        self._random = random.Random(f"{chaos.seed} {number}")  # noqa: S311 - chance, no secret
        self._http = httpx.AsyncClient()
        self._open: dict[str, str] = {}
        """Messages without an answer, and where they are sent."""
        self._places = ["/v1/messages"]
        self._count = 0

    async def close(self) -> None:
        await self._http.aclose()

    async def run(self, seconds: float) -> None:
        """Ask as long as there is time."""
        end = asyncio.get_running_loop().time() + seconds
        while asyncio.get_running_loop().time() < end:
            key = self._key()
            await self._ask(key, self._random.choice([0.1, 0.5, 1, 4]))
            await asyncio.sleep(self._random.random() * 0.1)

    async def insist(self) -> None:
        """Have every message answered, or learn that it failed for good."""
        for _ in range(LAST_TRIES):
            for key in list(self._open):
                await self._ask(key, 10)
            if not self._open:
                return
            await asyncio.sleep(ASKED_AGAIN_AFTER)
        self._chaos.violations += [f"{key} was never answered" for key in self._open]

    def _key(self) -> str:
        if self._open and (len(self._open) >= OPEN_KEYS or self._random.random() < 0.5):
            return self._random.choice(sorted(self._open))
        self._count += 1
        key = f"{self._name}-{self._count}"
        self._open[key] = self._random.choice(self._places)
        self._chaos.ledger.texts[key] = f"pergunta {key}"
        return key

    async def _ask(self, key: str, patience: float) -> None:
        server = self._random.choice(self._chaos.servers)
        way = self._random.choice([{}, STREAM, LATER])
        self._chaos.requests += 1
        try:
            response = await self._http.post(
                server.url + self._open[key],
                json={"text": self._chaos.ledger.texts[key]},
                headers={**way, "Idempotency-Key": key},
                timeout=patience,
            )
        except httpx.TransportError:
            self._chaos.given_up += 1
            return
        self._note(key, response)

    def _note(self, key: str, response: httpx.Response) -> None:
        """Keep what was told."""
        if response.status_code not in EXPECTED:
            self._chaos.violations.append(f"{key} was answered {response.status_code}")
        if address := response.headers.get("location"):
            self._chaos.ledger.acknowledge(key, address.rpartition("/")[2])
        self._chaos.replays += response.headers.get("idempotent-replayed") == "true"
        for turn in turns_in(response):
            self._chaos.ledger.acknowledge(key, turn["id"])
            if turn["status"] == "completed":
                self._chaos.ledger.answer(key, turn["reply"]["text"])
                self._places.append(f"/v1/conversations/{turn['conversation_id']}/messages")
                self._open.pop(key, None)
        if response.status_code == 502:  # it failed for good
            self._open.pop(key, None)


def turns_in(response: httpx.Response) -> list[dict[str, Any]]:
    """Give the turn that an answer shows, if it shows one."""
    if "event-stream" in response.headers["content-type"]:
        return [event.said for event in events_in(response.text) if event.name == "turn.completed"]
    return [response.json()] if response.status_code in {200, 202} else []


async def kill_now_and_then(chaos: Chaos, seconds: float) -> None:
    """Kill servers, and at times their database; each comes back soon."""
    chance = random.Random(chaos.seed)  # noqa: S311 - as above
    end = asyncio.get_running_loop().time() + seconds
    while asyncio.get_running_loop().time() < end:
        await asyncio.sleep(chance.uniform(1, 2.5))
        if chance.random() < 0.3:
            chaos.database_kills += 1
            await asyncio.to_thread(chaos.postgres.kill)
            await asyncio.sleep(chance.uniform(0.1, 1.5))
            await asyncio.to_thread(chaos.postgres.start)
        else:
            chaos.server_kills += 1
            server = chance.choice(chaos.servers)
            server.kill()
            server.start()


def troubled(seed: int, share: float) -> Fault:
    """Answer well, but for a share of the requests."""
    chance = random.Random(seed)  # noqa: S311 - as above
    good = faults.numbered()

    def answering(received: Received) -> Iterable[Step]:
        fault = chance.choice(TROUBLES) if chance.random() < share else good
        return fault(received)

    return answering


async def run(seconds: float, *, servers: int, seed: int, folder: Path) -> Chaos:
    """Wreak havoc for so long, then look what is left."""
    with postgres_server() as postgres:
        postgres.start()
        await migrate(postgres.url)
        async with faulty_provider() as provider:
            provider.faults = {"primary": troubled(seed, 0.4), "spare": troubled(seed + 1, 0.1)}
            given = {
                "database_url": postgres.url,
                "models": "openai:primary,openai:spare",
                "openai_base_url": provider.url,
                "deadline_seconds": str(DEADLINE),
                "breaker_rest_seconds": "1",
            }
            variables = {f"PROSA_{name.upper()}": value for name, value in given.items()}
            sink = folder / "servers.log"
            arguments = ["-m", "prosa", "serve"]
            chaos = Chaos(
                seed=seed,
                postgres=postgres,
                servers=[ServerProcess(arguments, variables, folder, sink) for _ in range(servers)],
            )
            async with running(chaos.servers):
                clients = [Client(chaos, number) for number in range(CLIENTS)]
                havoc = kill_now_and_then(chaos, seconds)
                await asyncio.gather(havoc, *(client.run(seconds) for client in clients))
                await asyncio.gather(*(server.ready() for server in chaos.servers))
                provider.faults.clear()
                await let_leases_run_out(postgres.url)
                await asyncio.gather(*(client.insist() for client in clients))
                await asyncio.gather(*(client.close() for client in clients))
            async with opened(Settings(**given), sink) as (app, _):
                await let_leases_run_out(postgres.url)
                await come_to_rest(app, postgres.url)
            chaos.violations += await broken_promises(postgres.url, sink, chaos.ledger)
    return chaos


@asynccontextmanager
async def running(servers: list[ServerProcess]) -> AsyncIterator[None]:
    """Have them run, and stop them in order."""
    for server in servers:
        server.start()
    try:
        for server in servers:
            await server.ready()
        yield
        for server in servers:
            server.send(signal.SIGTERM)
        for server in servers:
            await server.end()
    finally:
        for server in servers:
            server.kill()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.faults.chaos")
    parser.add_argument("--seconds", type=float, default=300)
    parser.add_argument("--servers", type=int, default=3)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    given = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="prosa-chaos-") as folder:
        chaos = asyncio.run(
            run(given.seconds, servers=given.servers, seed=given.seed, folder=Path(folder))
        )
    sys.stdout.write("\n".join([*chaos.violations, str(chaos), ""]))
    sys.exit(bool(chaos.violations))


if __name__ == "__main__":
    main()
