"""A provider that fails: what the customer sees, and how often the provider is asked.

Rows 18 to 27 of the fault matrix, through HTTP, the whole application and a provider on the
loopback. `primary` and `spare` are two models of that provider, asked in this order.
"""

import asyncio
import time
import tracemalloc
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

import httpx
import pytest

from prosa.settings import Settings
from tests.adapters.openai.provider import TEXT
from tests.entrypoints.http.serving import STREAM, events_in, problem_in, turn_in
from tests.faults import provider as faults
from tests.faults.provider import Fault, FaultyProvider
from tests.faults.serving import serving

DEADLINE = 2.0
CALLS_OF_A_TURN = 4
FAILURES = 5
"""After so many in a row a breaker opens, where nothing else is set."""

REST = 1.0
"""Seconds for which an open breaker rests: more than a retry waits."""

HUGE = 25_000_000
"""Bytes: half of what the provider sends, and three times what is read of any answer."""

WAYS = pytest.mark.parametrize("streamed", [False, True], ids=["plain", "streamed"])

Opened = Callable[..., AbstractAsyncContextManager[httpx.AsyncClient]]


@pytest.fixture
def opened(sqlite_url: str, provider: FaultyProvider) -> Opened:
    @asynccontextmanager
    async def open_with(
        *, models: str = "openai:primary,openai:spare", **values: object
    ) -> AsyncIterator[httpx.AsyncClient]:
        given = {"deadline_seconds": DEADLINE, **values}
        settings = Settings(
            models=models, openai_base_url=provider.url, database_url=sqlite_url, **given
        )
        async with serving(settings) as client:
            yield client

    return open_with


async def ask(
    client: httpx.AsyncClient,
    text: str = "Cadê meu pedido?",
    *,
    streamed: bool = False,
    key: str | None = None,
    deadline: float = DEADLINE,
) -> httpx.Response:
    """Send a message in a new conversation; whatever happens, the answer is there in time."""
    headers = {**(STREAM if streamed else {}), **({"Idempotency-Key": key} if key else {})}
    started = time.monotonic()
    response = await client.post("/v1/messages", json={"text": text}, headers=headers)
    assert time.monotonic() - started < deadline + 1
    return response


async def ask_both_ways(client: httpx.AsyncClient) -> list[httpx.Response]:
    """Ask for a plain answer and a streamed one, at the same time."""
    return await asyncio.gather(*(ask(client, streamed=streamed) for streamed in (False, True)))


def answering_model(response: httpx.Response) -> str:
    """Give the model whose answer the customer has; it must be whole, and nothing of another's."""
    assert response.status_code == 200, response.text
    if "event-stream" not in response.headers["content-type"]:
        reply = turn_in(response).reply
        assert reply is not None
        assert reply.text == TEXT
        return reply.model
    events = events_in(response.text)
    assert events[-1].name == "turn.completed", response.text
    assert "".join(str(event.said["text"]) for event in events[1:-1]) == TEXT
    return str(events[-1].said["reply"]["model"])  # type: ignore[index]  # JSON


# 18, 19


@pytest.mark.parametrize("fault", [faults.hang, faults.drip])
async def test_a_provider_that_stalls_costs_time_and_the_next_model_answers_by_the_deadline(
    opened: Opened, provider: FaultyProvider, fault: Fault
) -> None:
    provider.faults["primary"] = fault
    async with opened() as client:
        answers = await ask_both_ways(client)
    assert [answering_model(answer) for answer in answers] == ["spare", "spare"]
    assert provider.calls == {"primary": 2, "spare": 2}


@pytest.mark.parametrize("fault", [faults.hang, faults.drip])
async def test_where_every_model_stalls_the_customer_is_told_by_the_deadline(
    opened: Opened, provider: FaultyProvider, fault: Fault
) -> None:
    provider.faults = {"primary": fault, "spare": fault}
    async with opened() as client:
        for answer in await ask_both_ways(client):
            assert answer.status_code == 504
            assert problem_in(answer)["code"] == "deadline_exceeded"
            turn = turn_in(await client.get(answer.headers["location"]))
            assert turn.status == "failed"
            assert turn.error is not None
            assert turn.error.retryable
            assert turn.message.text == "Cadê meu pedido?"


# 20


@pytest.mark.parametrize("retry_after", ["60", "3600", "-1", "nan"])
async def test_a_rate_limit_that_cannot_be_waited_for_has_the_next_model_asked_at_once(
    opened: Opened, provider: FaultyProvider, retry_after: str
) -> None:
    provider.faults["primary"] = faults.rate_limited(retry_after)
    async with opened() as client:
        response = await ask(client)
    assert answering_model(response) == "spare"
    assert provider.calls["primary"] <= 2
    assert provider.calls.total() <= CALLS_OF_A_TURN


@pytest.mark.parametrize("retry_after", ["1", "date"])
async def test_a_rate_limit_that_is_soon_over_is_waited_for_once(
    opened: Opened, provider: FaultyProvider, retry_after: str
) -> None:
    # A date has no fractions of a second: two seconds from now is more than one, at most two.
    said = faults.http_date(2) if retry_after == "date" else retry_after
    provider.faults["primary"] = faults.first(faults.rate_limited(said))
    async with opened(deadline_seconds=10) as client:
        started = time.monotonic()
        response = await ask(client, deadline=10)
    assert answering_model(response) == "primary"
    assert provider.calls == {"primary": 2}
    assert time.monotonic() - started >= 0.9


async def test_a_rate_limit_is_waited_for_no_second_time(
    opened: Opened, provider: FaultyProvider
) -> None:
    provider.faults["primary"] = faults.rate_limited("1")
    async with opened(deadline_seconds=5) as client:
        response = await ask(client, deadline=5)
    assert answering_model(response) == "spare"
    assert provider.calls == {"primary": 2, "spare": 1}


async def test_an_account_without_credit_is_not_asked_again_in_the_turn(
    opened: Opened, provider: FaultyProvider
) -> None:
    provider.faults["primary"] = faults.no_credit
    async with opened() as client:
        response = await ask(client)
    assert answering_model(response) == "spare"
    assert provider.calls == {"primary": 1, "spare": 1}


async def test_a_wrong_key_falls_back_and_is_not_tried_by_the_next_turn(
    opened: Opened, provider: FaultyProvider
) -> None:
    provider.faults["primary"] = faults.unauthorized
    async with opened() as client:
        assert answering_model(await ask(client)) == "spare"
        assert answering_model(await ask(client)) == "spare"
    assert provider.calls == {"primary": 1, "spare": 2}


# 21


async def test_a_turn_in_a_storm_of_errors_makes_four_calls_at_most(
    opened: Opened, provider: FaultyProvider
) -> None:
    provider.faults = dict.fromkeys(("primary", "spare", "last"), faults.storm)
    async with opened(models="openai:primary,openai:spare,openai:last") as client:
        answers = await ask_both_ways(client)
    assert {answer.status_code for answer in answers} == {503}
    assert provider.calls.total() == len(answers) * CALLS_OF_A_TURN


async def test_one_model_alone_is_asked_twice_and_by_no_other_layer_again(
    opened: Opened, provider: FaultyProvider
) -> None:
    provider.faults["primary"] = faults.storm
    async with opened(models="openai:primary") as client:
        response = await ask(client)
    assert problem_in(response)["code"] == "model_unavailable"
    assert provider.calls == {"primary": 2}


async def test_in_a_storm_the_breaker_opens_and_the_model_is_asked_about_no_more(
    opened: Opened, provider: FaultyProvider
) -> None:
    provider.faults["primary"] = faults.storm
    async with opened() as client:
        for _ in range(FAILURES):
            assert answering_model(await ask(client)) == "spare"
        provider.forget()
        for _ in range(20):
            assert answering_model(await ask(client)) == "spare"
    assert provider.calls == {"spare": 20}


async def test_retries_of_many_turns_together_are_few_in_a_storm(
    opened: Opened, provider: FaultyProvider
) -> None:
    provider.faults["primary"] = faults.storm
    async with opened(models="openai:primary", breaker_failures=1000) as client:
        await asyncio.gather(*(ask(client, f"pergunta {turn}") for turn in range(40)))
    # Ten in the bucket, and a fifth of one for each turn.
    assert provider.calls["primary"] <= 40 + 10 + 40 * 0.2


# 22


@pytest.mark.parametrize(
    ("probed", "answers_then"), [(faults.well, "primary"), (faults.storm, "spare")]
)
async def test_with_fifty_waiting_one_call_tries_whether_the_model_is_back(
    opened: Opened, provider: FaultyProvider, probed: Fault, answers_then: str
) -> None:
    provider.faults["primary"] = faults.storm
    answers: list[str] = []
    async with opened(breaker_rest_seconds=REST, deadline_seconds=25) as client:

        async def wait_for_an_answer() -> None:
            answers.append(answering_model(await ask(client, deadline=25)))

        for _ in range(FAILURES):
            await wait_for_an_answer()
        provider.forget()
        answers.clear()
        # The probe is on its way until all the others have their answers.
        provider.faults["primary"] = faults.held(lambda: len(answers) >= 49, probed)
        await asyncio.sleep(REST)
        await asyncio.gather(*(wait_for_an_answer() for _ in range(50)))
        assert provider.calls["primary"] == 1
        assert Counter(answers[:49]) == {"spare": 49}
        assert answers[49] == answers_then
        assert answering_model(await ask(client)) == answers_then


# 23, 24


@pytest.mark.parametrize(
    "fault", [faults.cut_before_the_first_token, faults.empty_reply, faults.malformed]
)
async def test_what_breaks_before_the_first_word_is_never_seen_in_a_stream(
    opened: Opened, provider: FaultyProvider, fault: Fault
) -> None:
    provider.faults["primary"] = fault
    async with opened() as client:
        response = await ask(client, streamed=True)
    assert answering_model(response) == "spare"
    assert provider.calls == {"primary": 2, "spare": 1}


@pytest.mark.parametrize("fault", [faults.cut_midway, faults.truncated, faults.no_finish_reason])
async def test_a_stream_that_breaks_midway_says_so_and_the_same_key_gets_a_whole_answer(
    opened: Opened, provider: FaultyProvider, fault: Fault
) -> None:
    provider.faults["primary"] = faults.first(fault)
    async with opened() as client:
        broken = events_in((await ask(client, streamed=True, key="k")).text)
        assert [event.name for event in broken][:2] == ["turn.started", "turn.delta"]
        assert broken[-1].name == "turn.failed"
        assert provider.calls == {"primary": 1}, "nothing is spliced from two answers"
        again = await ask(client, streamed=True, key="k")
        assert answering_model(again) == "primary"
        listed = await client.get(f"/v1/conversations/{broken[0].said['conversation_id']}/messages")
    texts = [message["text"] for message in listed.json()["data"]]
    assert texts == ["Cadê meu pedido?", TEXT]


@pytest.mark.parametrize(
    "fault",
    [
        faults.cut_before_the_first_token,
        faults.cut_midway,
        faults.truncated,
        # 25
        faults.malformed,
        faults.empty_body,
        faults.empty_reply,
        faults.huge,
    ],
)
async def test_a_plain_answer_that_is_no_whole_answer_has_the_next_model_asked(
    opened: Opened, provider: FaultyProvider, fault: Fault
) -> None:
    provider.faults["primary"] = fault
    async with opened() as client:
        response = await ask(client)
    assert answering_model(response) == "spare"
    assert provider.calls == {"primary": 2, "spare": 1}


# 25


@WAYS
async def test_an_answer_of_fifty_megabytes_is_not_held_in_memory(
    opened: Opened, provider: FaultyProvider, *, streamed: bool
) -> None:
    provider.faults["primary"] = faults.huge
    async with opened(deadline_seconds=20) as client:
        tracemalloc.start()
        try:
            response = await ask(client, streamed=streamed, deadline=20)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
    assert answering_model(response) == "spare"
    assert peak < HUGE


# 26


@WAYS
@pytest.mark.parametrize("fault", [faults.content_filter, faults.filtered_answer])
async def test_what_a_content_filter_refuses_gets_a_safe_reply_and_no_other_model_is_asked(
    opened: Opened, provider: FaultyProvider, fault: Fault, *, streamed: bool
) -> None:
    provider.faults["primary"] = fault
    async with opened() as client:
        response = await ask(client, streamed=streamed, key="k")
        plain = turn_in(await ask(client, key="k"))
    assert response.status_code == 200
    assert plain.status == "completed"
    assert plain.reply is not None
    assert plain.reply.finish_reason == "content_filter"
    assert plain.reply.provider == "prosa"
    assert provider.calls == {"primary": 1}


# 27


@WAYS
async def test_with_every_model_down_the_message_is_stored_and_the_same_key_brings_its_answer(
    opened: Opened, provider: FaultyProvider, *, streamed: bool
) -> None:
    provider.faults = {"primary": faults.storm, "spare": faults.storm}
    async with opened() as client:
        response = await ask(client, streamed=streamed, key="k")
        assert response.status_code == 503
        assert problem_in(response)["code"] == "model_unavailable"
        assert int(response.headers["retry-after"]) >= 1
        stored = turn_in(await client.get(response.headers["location"]))
        assert stored.message.text == "Cadê meu pedido?"
        provider.faults.clear()
        again = await ask(client, streamed=streamed, key="k")
        assert answering_model(again) == "primary"
        told = turn_in(await client.get(response.headers["location"]))
    assert told.status == "completed"
    assert told.attempt == 2
