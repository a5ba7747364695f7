"""A function whose process is killed or frozen keeps the promises: row 34 of the fault matrix."""

import asyncio
import signal
import time
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import asyncpg
import pytest

from tests.entrypoints.aws_lambda.gateway import (
    Answer,
    Request,
    answer_from,
    get,
    http_api_event,
    post,
)
from tests.faults import provider as faults
from tests.faults.promises import let_leases_run_out, plain
from tests.faults.provider import FaultyProvider
from tests.lambda_runtime import LambdaFunction, TimedOutError, lambda_function

PLACE = "prosa.entrypoints.aws_lambda"
MESSAGE = post("/v1/messages", "k", text="Oi")
TIMEOUT_SECONDS = 3.0


@dataclass(frozen=True, kw_only=True)
class Functions:
    """The functions of an installation: two containers of the HTTP API, and the sweep."""

    http: LambdaFunction
    other: LambdaFunction
    recover: LambdaFunction


@pytest.fixture
def functions(database_url: str, provider: FaultyProvider, tmp_path: Path) -> Iterator[Functions]:
    variables = {
        "PROSA_DATABASE_URL": database_url,
        "PROSA_MODELS": "openai:primary",
        "PROSA_OPENAI_BASE_URL": provider.url,
    }
    with ExitStack() as stack:

        def made(module: str, number: int, timeout_seconds: float) -> LambdaFunction:
            folder = tmp_path / f"{module}{number}"
            folder.mkdir()
            function = lambda_function(f"{PLACE}.{module}", variables, folder, timeout_seconds)
            return stack.enter_context(function)

        yield Functions(
            http=made("http", 1, TIMEOUT_SECONDS),
            other=made("http", 2, 60),
            recover=made("recover_turns", 1, 60),
        )


async def ask(function: LambdaFunction, request: Request) -> Answer:
    return answer_from(await asyncio.to_thread(function.invoke, http_api_event(request)))


async def time_out_in_a_turn(function: LambdaFunction, provider: FaultyProvider) -> None:
    """Have a function's time run out in a turn, without a chance to do anything about it."""
    provider.faults["primary"] = faults.hang
    invocation = function.begin(http_api_event(MESSAGE))
    await provider.asked()
    function.send(signal.SIGSTOP)
    invocation.deadline = time.time()
    with pytest.raises(TimedOutError):
        await asyncio.to_thread(function.wait, invocation)
    provider.faults.clear()


@pytest.mark.parametrize("sweeps", [False, True], ids=["by its key", "by the sweep"])
async def test_a_turn_whose_function_timed_out_is_recovered_and_the_next_invocation_works(
    functions: Functions, provider: FaultyProvider, database_url: str, *, sweeps: bool
) -> None:
    await time_out_in_a_turn(functions.http, provider)
    busy = await ask(functions.http, MESSAGE)
    assert (busy.status, busy.view["code"]) == (409, "turn_in_progress")
    await let_leases_run_out(database_url)
    if sweeps:
        swept = await asyncio.to_thread(functions.recover.invoke, {})
        assert swept == {"run_again": 0, "failed": 1, "failed_again": 0}
    answered = await ask(functions.http, MESSAGE)
    assert (answered.status, answered.view["attempt"]) == (200, 2)
    assert answered.view["id"] == busy.view["turn_id"]
    assert (await ask(functions.http, MESSAGE)).body == answered.body
    assert functions.http.starts == 2


async def test_a_model_that_hangs_is_given_up_before_lambda_gives_up_the_function(
    functions: Functions, provider: FaultyProvider
) -> None:
    provider.faults["primary"] = faults.hang
    late = await ask(functions.http, MESSAGE)
    assert (late.status, late.view["code"]) == (504, "deadline_exceeded")
    provider.faults.clear()
    answered = await ask(functions.http, MESSAGE)
    assert (answered.status, answered.view["attempt"]) == (200, 2)
    assert functions.http.starts == 1


async def test_what_a_frozen_function_finds_out_later_is_discarded(
    functions: Functions, provider: FaultyProvider, database_url: str
) -> None:
    held = asyncio.Event()
    provider.faults["primary"] = faults.held(held.is_set, faults.numbered())
    invocation = functions.http.begin(http_api_event(MESSAGE))
    await provider.asked()
    functions.http.send(signal.SIGSTOP)
    invocation.deadline = time.time() + 60  # while it is frozen, nobody ends it
    await let_leases_run_out(database_url)
    provider.faults["primary"] = faults.numbered()
    answered = await ask(functions.other, MESSAGE)
    assert (answered.status, answered.view["attempt"]) == (200, 2)
    held.set()
    functions.http.send(signal.SIGCONT)
    zombie = answer_from(await asyncio.to_thread(functions.http.wait, invocation))
    assert zombie.status in {409, 504}
    assert (await ask(functions.http, MESSAGE)).body == answered.body
    assert functions.http.starts == 1


async def test_a_function_that_thaws_with_broken_connections_answers_all_the_same(
    functions: Functions, database_url: str
) -> None:
    answered = await ask(functions.http, MESSAGE)
    functions.http.send(signal.SIGSTOP)
    await cut_all_connections(database_url)
    functions.http.send(signal.SIGCONT)
    again = await ask(functions.http, MESSAGE)
    assert again.body == answered.body
    place = f"/v1/conversations/{answered.view['conversation_id']}"
    assert (await ask(functions.http, get(place))).view["message_count"] == 2
    assert functions.http.starts == 1


_CUT_OTHERS = """
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and pid <> pg_backend_pid()
"""


async def cut_all_connections(database_url: str) -> None:
    connection = await asyncpg.connect(plain(database_url))
    try:
        while await connection.fetch(_CUT_OTHERS):  # until they have ended
            pass
    finally:
        await connection.close()
