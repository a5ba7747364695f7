"""A task whose function's time was up comes again, and has its effect once: row 33."""

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from prosa.application.accept_turn import CustomerMessage
from prosa.bootstrap import App, bootstrap
from prosa.domain.identifiers import DEFAULT_TENANT
from prosa.domain.turn import Turn, TurnStatus
from prosa.entrypoints.step_functions import take_turn
from prosa.settings import Settings
from tests.faults.cutting_proxy import Cut, CuttingProxy, cutting_proxy
from tests.faults.postgres_server import PostgresServer
from tests.lambda_runtime import LambdaFunction, TimedOutError, lambda_function

SECONDS = 60
"""More than any start takes, also on a busy machine."""

WRITTEN = {
    "classify": b'"calls_made"',
    "generate": b'"calls_made"',
    "record": b"conv_",
    "publish": b"evt_",
    "fail": b"conv_",
}
"""What only the last statement of each function has among its values."""


@pytest.fixture
async def network(cluster: PostgresServer) -> AsyncIterator[CuttingProxy]:
    """Pass on what functions and database say to each other, and nothing where it is told so."""
    async with cutting_proxy(cluster.port) as proxy:
        yield proxy


@pytest.fixture
async def app(database_url: str) -> AsyncIterator[App]:
    """Open an application that takes the network's other way."""
    settings = Settings.model_validate({"database_url": database_url, "models": "scripted"})
    async with bootstrap(settings) as app:
        yield app


async def time_out_unheard(
    function: LambdaFunction, event: dict[str, object], network: CuttingProxy, words: bytes
) -> None:
    """Have the function's time be up when it has done its work, and waits to hear that it did."""
    network.break_at(words, Cut.NOWHERE)
    invocation = function.begin(event)
    async with asyncio.timeout(SECONDS):
        await network.reached.wait()
    network.reached.clear()
    invocation.deadline = time.time()
    with pytest.raises(TimedOutError):
        await asyncio.to_thread(function.wait, invocation)


async def taken_at_the_second_try(
    name: str, turn: Turn, network: CuttingProxy, database_url: str, folder: Path
) -> None:
    """Have one task time out and be tried again, as the machine does it."""
    variables = {"PROSA_DATABASE_URL": network.url(database_url), "PROSA_MODELS": "scripted"}
    event: dict[str, object] = {
        "tenant_id": DEFAULT_TENANT,
        "turn_id": turn.id,
        "attempt": turn.attempt,
    }
    if name == "fail":
        event["error"] = "States.Timeout"
    with lambda_function(take_turn.__name__, variables, folder, SECONDS, handler=name) as function:
        await time_out_unheard(function, event, network, WRITTEN[name])
        assert await asyncio.to_thread(function.invoke, event) is None
        assert function.starts == 2


async def test_a_turn_is_taken_once_though_each_of_its_functions_timed_out(
    app: App, network: CuttingProxy, database_url: str, tmp_path: Path
) -> None:
    turn = (await app.take_turn.accept(CustomerMessage(text="Cadê?"))).turn
    for name in ("classify", "generate", "record", "publish"):
        await taken_at_the_second_try(name, turn, network, database_url, tmp_path)

    taken = await app.conversations.get_turn(DEFAULT_TENANT, turn.id)
    header = await app.conversations.get_conversation(DEFAULT_TENANT, turn.conversation_id)
    assert (taken.status, taken.attempt) == (TurnStatus.COMPLETED, 1)
    assert (header.message_count, header.event_count) == (2, 3)
    assert (await app.outbox.backlog()).waiting == 0


async def test_a_turn_has_failed_once_though_the_function_that_fails_it_timed_out(
    app: App, network: CuttingProxy, database_url: str, tmp_path: Path
) -> None:
    turn = (await app.take_turn.accept(CustomerMessage(text="Cadê?"))).turn
    await taken_at_the_second_try("fail", turn, network, database_url, tmp_path)

    failed = await app.conversations.get_turn(DEFAULT_TENANT, turn.id)
    assert (failed.status, failed.failures) == (TurnStatus.FAILED, 1)
    assert failed.error is not None
    assert failed.error.code == "deadline_exceeded"
