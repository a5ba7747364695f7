"""Calls that fail on the way are tried again, with the same key and within the caller's time."""

import asyncio

import pytest

from prosa.adapters.in_memory.language_model import ScriptedLanguageModel
from prosa.application.ports.language_model import ModelRejectedRequest, ModelUnavailable
from prosa.client import (
    AsyncClient,
    ServerFailed,
    ServerUnreachable,
    TurnCompleted,
    TurnNotAnswered,
    TurnStarted,
    UnexpectedAnswer,
)
from prosa.domain.identifiers import DEFAULT_TENANT
from tests.client.both import Kind, Pauses, a_client
from tests.client.conftest import REPLY
from tests.client.network import Answer, CutAt, Fault, Hang, Network, Refuse, Repeat
from tests.entrypoints.http.serving import InMemoryParts, PausingModel

pytestmark = pytest.mark.asyncio(loop_scope="module")

ANSWERED = CutAt(b"HTTP/1.1 200")
AWAY = ModelUnavailable("the connection to scripted failed")


def stored_turns(parts: InMemoryParts) -> int:
    return len(parts.storage.of(DEFAULT_TENANT).turns)


@pytest.mark.parametrize(
    "faults",
    [
        [Refuse(), Refuse()],
        [ANSWERED],
        [CutAt(b'"object":"turn"')],
        [Refuse(), ANSWERED, Refuse(), ANSWERED],
        [Answer("502 Bad Gateway"), Answer("503 Service Unavailable")],
        [Answer("504 Gateway Timeout"), Answer("429 Too Many Requests")],
    ],
    ids=["refused", "unanswered", "cut", "by turns", "gateway", "gateway, too"],
)
async def test_a_message_that_may_have_been_heard_is_sent_again_and_stored_once(
    client: AsyncClient,
    network: Network,
    parts: InMemoryParts,
    pauses: Pauses,
    faults: list[Fault],
) -> None:
    network.faults.extend(faults)
    turn = await client.send_message("Oi!")
    assert turn.reply is not None
    assert turn.reply.text == REPLY
    assert stored_turns(parts) == 1
    keys = network.headers("idempotency-key")
    assert len(keys) == len(faults) + 1 == len(pauses.seconds) + 1
    assert len(set(keys)) == 1


async def test_each_message_has_a_key_of_its_own(client: AsyncClient, network: Network) -> None:
    for _ in range(2):
        await client.send_message("Oi!")
    first, second = network.headers("idempotency-key")
    assert first != second


async def test_a_conversation_is_started_once(
    client: AsyncClient, network: Network, parts: InMemoryParts
) -> None:
    network.faults.append(CutAt(b"HTTP/1.1 201"))
    conversation = await client.start_conversation()
    assert list(parts.storage.of(DEFAULT_TENANT).headers) == [conversation.id]


async def test_reads_and_closing_are_tried_again(client: AsyncClient, network: Network) -> None:
    conversation = await client.start_conversation()
    network.faults.append(ANSWERED)
    assert (await client.close_conversation(conversation.id)).status == "closed"
    network.faults.append(ANSWERED)
    assert (await client.read_conversation(conversation.id)).status == "closed"


async def test_a_turn_that_failed_is_run_again_after_the_time_that_the_server_asks_for(
    client: AsyncClient, model: ScriptedLanguageModel, parts: InMemoryParts, pauses: Pauses
) -> None:
    model.script.extend([AWAY, AWAY])
    turn = await client.send_message("Oi!")
    assert (turn.status, turn.attempt, stored_turns(parts)) == ("completed", 3, 1)
    assert len(pauses.seconds) == 2
    assert all(5 <= pause <= 6.25 for pause in pauses.seconds)


async def test_what_would_fail_again_is_not_tried_again(
    client: AsyncClient, model: ScriptedLanguageModel, pauses: Pauses
) -> None:
    model.script.append(ModelRejectedRequest("no"))
    with pytest.raises(TurnNotAnswered) as failed:
        await client.send_message("Oi!")
    assert (failed.value.code, failed.value.retryable) == ("model_rejected", False)
    assert failed.value.turn_id is not None
    assert (await client.read_turn(failed.value.turn_id)).status == "failed"
    assert pauses.seconds == []


async def test_after_so_many_failures_in_a_row_the_last_is_raised(
    kind: Kind, network: Network, model: ScriptedLanguageModel, pauses: Pauses
) -> None:
    network.faults.extend([Refuse(), Refuse()])
    model.script.extend([AWAY])
    async with a_client(kind, network.url, pauses, max_tries=3) as client:
        with pytest.raises(ServerFailed) as failed:
            await client.send_message("Oi!")
    assert failed.value.code == "model_unavailable"
    assert len(pauses.seconds) == 2


async def test_where_the_server_asks_for_more_time_than_there_is_the_error_comes_at_once(
    client: AsyncClient, model: ScriptedLanguageModel, pauses: Pauses
) -> None:
    model.script.append(AWAY)
    with pytest.raises(ServerFailed) as failed:
        await client.send_message("Oi!", seconds=4)
    assert (failed.value.retryable, failed.value.retry_after) == (True, 5)
    assert pauses.seconds == []


async def test_a_server_that_says_nothing_does_not_outlive_the_callers_time(
    client: AsyncClient, network: Network, pauses: Pauses
) -> None:
    network.faults.extend([Hang()] * 3)
    async with asyncio.timeout(10):
        with pytest.raises(ServerUnreachable):
            await client.send_message("Oi!", seconds=0.3)
    assert pauses.seconds == []


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: %b\r\n\r\n"
PINGS = Repeat(HEAD % b"text/event-stream", b": ping\n\n")
SPACES = Repeat(HEAD % b"application/json", b" ")


async def test_a_server_that_only_pings_does_not_outlive_the_callers_time(
    client: AsyncClient, network: Network, pauses: Pauses
) -> None:
    network.faults.extend([PINGS] * 2)
    async with asyncio.timeout(10):
        with pytest.raises(ServerUnreachable):
            await client.wait_for_turn("turn_1", seconds=0.3)
        with pytest.raises(ServerUnreachable):
            async with client.stream_message("Oi!", seconds=0.3) as events:
                assert not [event async for event in events]
    assert pauses.seconds == []


async def test_an_answer_that_comes_by_drops_does_not_outlive_the_callers_time(
    client: AsyncClient, network: Network, pauses: Pauses
) -> None:
    network.faults.append(SPACES)
    async with asyncio.timeout(10):
        with pytest.raises(ServerUnreachable):
            await client.send_message("Oi!", seconds=0.3)
    assert pauses.seconds == []


async def test_on_asyncio_not_even_the_beginning_of_an_answer_outlives_the_callers_time(
    network: Network, pauses: Pauses
) -> None:
    network.faults.append(Repeat(b"HTTP/1.1 200 OK\r\n", b"Some: header\r\n"))
    async with asyncio.timeout(10), a_client("asynchronous", network.url, pauses) as client:
        with pytest.raises(ServerUnreachable):
            await client.send_message("Oi!", seconds=0.3)
    assert pauses.seconds == []


async def test_to_wait_for_a_turn_is_one_call_with_one_time(
    client: AsyncClient, network: Network
) -> None:
    turn = await client.send_message("Oi!")
    assert await client.wait_for_turn(turn.id) == turn
    assert [head.partition(" HTTP")[0] for head in network.requests[1:]] == [
        f"GET /v1/turns/{turn.id}/events"
    ]


async def test_the_server_is_told_how_long_the_caller_waits(
    client: AsyncClient, network: Network
) -> None:
    await client.send_message("Oi!", seconds=4)
    async with client.stream_message("Oi!", seconds=9) as events:
        assert [event async for event in events]
    await client.submit_message("Oi!", seconds=7)
    assert network.headers("prefer") == ["wait=3", "wait=8", "respond-async"]


@pytest.mark.parametrize("status", ["404 Not Found", "403 Forbidden", "301 Moved", "200 OK"])
async def test_what_is_not_prosa_is_told_apart(
    client: AsyncClient, network: Network, pauses: Pauses, status: str
) -> None:
    network.faults.extend([Answer(status), Answer(status)])
    with pytest.raises(UnexpectedAnswer, match="is the URL right"):
        await client.send_message("Oi!")
    with pytest.raises(UnexpectedAnswer):
        async with client.stream_message("Oi!") as events:
            assert not [event async for event in events]
    assert pauses.seconds == []


@pytest.mark.parametrize("body", ["{", "[]", "{}", '{"code": "x"}'])
async def test_a_problem_that_cannot_be_read_is_told_apart(
    client: AsyncClient, network: Network, body: str
) -> None:
    problem = ("Content-Type: application/problem+json",)
    network.faults.append(Answer("409 Conflict", problem, body))
    with pytest.raises(UnexpectedAnswer):
        await client.list_conversations()


class TestWhereATurnRunsLong:
    """A model that says a sentence, and the next only when it may."""

    @pytest.fixture
    def model(self) -> PausingModel:
        return PausingModel()

    @pytest.fixture(autouse=True)
    def patience(self, model: PausingModel, pauses: Pauses) -> None:
        """Let the model go on after a few pauses, however many a caller may fail."""

        async def meanwhile() -> None:
            await asyncio.sleep(0.001)  # no pause of the test's own: others get their turn
            if len(pauses.seconds) == 9:
                model.may_go_on.set()

        pauses.meanwhile = meanwhile

    async def test_a_message_to_a_busy_conversation_waits_its_turn(
        self, client: AsyncClient, pauses: Pauses
    ) -> None:
        first = await client.submit_message("Oi!")
        second = await client.send_message("Oi?", conversation_id=first.conversation_id)
        assert second.message.sequence == 3
        assert all(2 <= pause <= 2.5 for pause in pauses.seconds)

    async def test_a_message_whose_turn_runs_still_is_answered_with_it(
        self, client: AsyncClient, pauses: Pauses
    ) -> None:
        first = await client.submit_message("Oi!", idempotency_key="k-1")
        again = await client.send_message("Oi!", idempotency_key="k-1")
        assert (again.id, again.status) == (first.id, "completed")
        assert len(pauses.seconds) >= 9

    async def test_a_stream_of_a_turn_that_runs_already_follows_it(
        self, client: AsyncClient, pauses: Pauses, model: PausingModel
    ) -> None:
        first = await client.submit_message("Oi!", idempotency_key="k-1")
        async with client.stream_message("Oi!", idempotency_key="k-1") as events:
            started = await anext(events)
            model.may_go_on.set()
            others = [event async for event in events]
        assert (started, others[-1]) == (
            TurnStarted(event_id=1, turn_id=first.id, conversation_id=first.conversation_id),
            TurnCompleted(event_id=len(others) + 1, turn=await client.read_turn(first.id)),
        )
        assert pauses.seconds == [0.0]
