"""Turns that run in a machine: answered plain, as a stream, or later, as if they ran here."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import replace

import httpx
import pytest
from starlette.types import Receive, Scope, Send

from prosa.adapters.in_memory.language_model import ScriptedLanguageModel
from prosa.application.accept_turn import CustomerMessage
from prosa.application.ports.language_model import ModelUnavailable
from prosa.application.ports.turn_runner import TurnNotStarted
from prosa.application.ports.unit_of_work import StorageUnavailable
from prosa.application.run_elsewhere import RunElsewhere
from prosa.domain.errors import StaleAttempt
from prosa.domain.identifiers import DEFAULT_TENANT, TurnId
from prosa.domain.turn import Attempt, Turn, TurnStatus
from prosa.entrypoints.http.elsewhere import completed_elsewhere
from prosa.entrypoints.http.preferences import require_answer_within
from tests.entrypoints.http.serving import (
    LATER,
    STREAM,
    InMemoryParts,
    PausingModel,
    app_of,
    events_in,
    now,
    parts_with,
    problem_in,
    served,
    turn_in,
)
from tests.waiting import until_idle

BODY = {"text": "Cadê?"}


class Nowhere(RunElsewhere):
    """Takes attempts on, and forgets them."""

    def __init__(self) -> None:
        pass

    async def __call__(self, attempt: Attempt) -> None:
        self.forgotten = attempt


@pytest.fixture
def elsewhere() -> bool:
    return True


async def test_a_stream_has_the_events_that_it_would_have_had_here(
    client: httpx.AsyncClient, parts: InMemoryParts
) -> None:
    headers = {**STREAM, "Idempotency-Key": "k"}
    first = await client.post("/v1/messages", json=BODY, headers=headers)
    again = await client.post("/v1/messages", json=BODY, headers=headers)

    assert parts.run_elsewhere is not None
    names = ["turn.started", "turn.delta", "turn.delta", "turn.completed"]
    assert [event.name for event in events_in(first.text)] == names
    assert again.content == first.content


async def test_a_failure_before_anything_was_said_is_a_plain_problem() -> None:
    model = ScriptedLanguageModel([ModelUnavailable("away")])
    async with served(parts_with(model, elsewhere=True)) as client:
        response = await client.post("/v1/messages", json=BODY, headers=STREAM)
    assert response.status_code == 503
    assert problem_in(response)["code"] == "model_unavailable"


@pytest.fixture
async def paused() -> AsyncIterator[PausingModel]:
    model = PausingModel()
    yield model
    model.may_go_on.set()


async def test_later_is_answered_once_the_turn_is_sure_to_run(paused: PausingModel) -> None:
    async with served(parts_with(paused, elsewhere=True)) as client:
        response = await client.post("/v1/messages", json=BODY, headers=LATER)
        assert response.status_code == 202
        assert response.headers["preference-applied"] == "respond-async"
        assert turn_in(response).status == "running"
        paused.may_go_on.set()
        followed = await client.get(f"{response.headers['location']}/events")
    assert [event.name for event in events_in(followed.text)][-1] == "turn.completed"


@pytest.mark.parametrize(("elsewhere", "status"), [(True, 202), (False, 200)])
async def test_a_server_that_freezes_with_its_answer_answers_later_only_what_runs_elsewhere(
    *, elsewhere: bool, status: int
) -> None:
    parts = parts_with(elsewhere=elsewhere)
    app = app_of(parts)

    async def freezing(scope: Scope, receive: Receive, send: Send) -> None:
        require_answer_within(scope, 5.0)
        await app(scope, receive, send)

    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(
            transport=httpx.ASGITransport(freezing), base_url="http://prosa"
        ) as client,
    ):
        response = await client.post("/v1/messages", json=BODY, headers=LATER)
    assert response.status_code == status


@pytest.mark.parametrize("headers", [{}, STREAM, LATER], ids=["plain", "stream", "later"])
async def test_a_turn_that_cannot_be_started_is_told_and_its_key_starts_it_again(
    headers: dict[str, str],
) -> None:
    parts = parts_with(elsewhere=True, starts=[TurnNotStarted("away")])
    headers = {**headers, "Idempotency-Key": "k"}
    async with served(parts) as client:
        refused = await client.post("/v1/messages", json=BODY, headers=headers)
        assert refused.status_code == 503
        assert problem_in(refused)["code"] == "turn_not_started"
        read = turn_in(await client.get(refused.headers["location"]))
        assert read.error is not None
        assert read.error.retryable
        again = await client.post("/v1/messages", json=BODY, headers=headers)
        assert again.is_success


async def test_a_turn_that_is_awaited_here_can_be_followed_here(paused: PausingModel) -> None:
    async with served(parts_with(paused, elsewhere=True)) as client:
        headers = {"Idempotency-Key": "k"}
        asked = asyncio.create_task(client.post("/v1/messages", json=BODY, headers=headers))
        await paused.asked.wait()
        busy = await client.post("/v1/messages", json=BODY, headers=headers)
        address = f"{busy.headers['location']}/events"
        following = asyncio.create_task(client.get(address))
        await until_idle()
        paused.may_go_on.set()
        live, plain = await following, await asked
        finished = await client.get(address)
    assert live.content == finished.content
    assert events_in(live.text)[-1].said == plain.json()


async def test_a_machine_that_says_nothing_is_waited_for_until_the_deadline() -> None:
    parts = replace(parts_with(), run_elsewhere=Nowhere())
    async with served(parts) as client:
        response = await client.post("/v1/messages", json=BODY, headers={"Prefer": "wait=1"})
    assert response.status_code == 504
    assert problem_in(response)["code"] == "deadline_exceeded"
    turn_id = TurnId(str(problem_in(response)["turn_id"]))
    turn = await parts.conversations.get_turn(DEFAULT_TENANT, turn_id)
    assert turn.status is TurnStatus.RUNNING
    assert not turn.lease_has_run_out(now())


async def test_where_another_attempt_goes_on_with_the_turn_the_first_caller_may_ask_again() -> None:
    parts = parts_with(elsewhere=True)
    accepted = await parts.take_turn.accept(CustomerMessage(text="Cadê?"))
    assert accepted.attempt is not None
    other = replace(accepted.turn, attempt=2, status=TurnStatus.COMPLETED)

    async def read() -> Turn:
        return other

    assert parts.run_elsewhere is not None
    with pytest.raises(StaleAttempt):
        await completed_elsewhere(accepted.attempt, parts.run_elsewhere, read)


async def test_a_database_that_is_away_for_a_moment_is_asked_again() -> None:
    parts = parts_with(elsewhere=True)
    accepted = await parts.take_turn.accept(CustomerMessage(text="Cadê?"))
    assert accepted.attempt is not None
    reads = deque([StorageUnavailable("away")])

    async def read() -> Turn:
        if reads:
            raise reads.popleft()
        return await parts.conversations.get_turn(DEFAULT_TENANT, accepted.turn.id)

    assert parts.run_elsewhere is not None
    turn = await completed_elsewhere(accepted.attempt, parts.run_elsewhere, read)
    assert turn.status is TurnStatus.COMPLETED
