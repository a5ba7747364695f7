"""Idempotency: one key, at most one reply, whatever came of the first request."""

import asyncio

import pytest

from prosa.adapters.in_memory.guardrail import ScriptedGuardrail
from prosa.application.idempotency import fingerprint
from prosa.application.ports.language_model import ModelUnavailable
from prosa.domain.conversation import LEASE_RAN_OUT
from prosa.domain.errors import (
    ConversationBusy,
    ConversationClosed,
    DeadlineExceeded,
    KeyReused,
    KeyTaken,
    ProsaError,
    StaleAttempt,
    TurnFailed,
    TurnInProgress,
)
from prosa.domain.identifiers import TenantId
from prosa.domain.turn import MAX_FAILURES, Attempt, TurnOutcome, TurnStatus
from tests.application.service import KEY, SAFE, TENANT, Service, Trouble, a_message, shown_in

LEASE_SECONDS = 30.0


def unavailable() -> ModelUnavailable:
    return ModelUnavailable("down")


async def accepted(service: Service, text: str = "Cadê meu pedido?") -> Attempt:
    attempt = (await service.accept(a_message(text, key=KEY))).attempt
    assert attempt is not None
    return attempt


# The same key again


async def test_a_completed_turn_is_replayed_and_nothing_is_done_again() -> None:
    service = Service("Uma vez.")
    first = await service.take_turn(a_message(key=KEY))
    service.clock.advance(3600)
    events = service.event_names()
    again = await service.take_turn(a_message(key=KEY))
    assert again == TurnOutcome(turn=first.turn, replayed=True)
    assert len(service.model.requests) == 1
    assert service.event_names() == events
    assert len(service.state.headers) == 1


async def test_a_replay_does_not_mind_what_the_conversation_says_now() -> None:
    service = Service()
    conversation = await service.a_conversation()
    first = await service.take_turn(a_message(to=conversation, key=KEY))
    await service.accept(a_message("another", to=conversation))
    busy = await service.take_turn(a_message(to=conversation, key=KEY))
    assert busy == TurnOutcome(turn=first.turn, replayed=True)
    service.clock.advance(LEASE_SECONDS)
    await service.close_conversation(TENANT, conversation)
    closed = await service.take_turn(a_message(to=conversation, key=KEY))
    assert closed == TurnOutcome(turn=first.turn, replayed=True)


async def test_without_a_key_the_same_message_is_another_turn() -> None:
    service = Service()
    conversation = await service.a_conversation()
    first = await service.take_turn(a_message(to=conversation))
    second = await service.take_turn(a_message(to=conversation))
    assert first.turn.id != second.turn.id
    assert service.state.requests == {}


async def test_a_refusal_is_replayed_too() -> None:
    service = Service(guardrail=ScriptedGuardrail(blocks=["bomba"]))
    first = await service.take_turn(a_message("bomba", key=KEY))
    again = await service.take_turn(a_message("bomba", key=KEY))
    assert again == TurnOutcome(turn=first.turn, replayed=True)
    assert again.turn.reply is not None
    assert again.turn.reply.text == SAFE


async def test_a_key_is_remembered_by_the_message_as_it_came_not_as_it_was_stored() -> None:
    service = Service(guardrail=ScriptedGuardrail(redacts={"4111": "[card]", "4222": "[card]"}))
    await service.take_turn(a_message("cartão 4111", key=KEY))
    assert (await service.take_turn(a_message("cartão 4111", key=KEY))).replayed
    with pytest.raises(KeyReused):
        await service.take_turn(a_message("cartão 4222", key=KEY))


# Another request with the same key


async def test_another_text_with_the_same_key_is_refused() -> None:
    service = Service()
    await service.take_turn(a_message("Oi", key=KEY))
    with pytest.raises(KeyReused):
        await service.take_turn(a_message("Tchau", key=KEY))
    assert len(service.state.turns) == 1


async def test_another_conversation_with_the_same_key_is_refused() -> None:
    service = Service()
    one, other = await service.a_conversation(), await service.a_conversation()
    await service.take_turn(a_message(to=one, key=KEY))
    with pytest.raises(KeyReused):
        await service.take_turn(a_message(to=other, key=KEY))
    assert service.messages(other) == []


async def test_the_key_of_a_running_turn_is_refused_to_another_text() -> None:
    service = Service()
    attempt = await accepted(service)
    with pytest.raises(KeyReused):
        await service.take_turn(a_message("Tchau", to=attempt.conversation_id, key=KEY))


async def test_another_tenants_key_is_another_key() -> None:
    service = Service("Um.", "Dois.")
    first = await service.take_turn(a_message(key=KEY))
    other = await service.take_turn(a_message(key=KEY, tenant_id=TenantId("globex")))
    assert not other.replayed
    assert first.turn.id != other.turn.id
    assert len(service.model.requests) == 2


async def test_another_callers_key_is_another_key() -> None:
    service = Service()
    first = await service.take_turn(a_message(key=KEY, caller="app"))
    other = await service.take_turn(a_message(key=KEY, caller="site"))
    assert not other.replayed
    assert first.turn.id != other.turn.id


# While it runs


async def test_a_running_turn_is_in_progress_for_its_own_key() -> None:
    service = Service()
    attempt = await accepted(service)
    with pytest.raises(TurnInProgress) as in_progress:
        await service.take_turn(a_message(key=KEY))
    assert in_progress.value.turn_id == attempt.turn_id
    assert in_progress.value.retry_after == 2.0


async def test_a_running_turn_of_a_named_conversation_is_in_progress_for_its_own_key() -> None:
    service = Service()
    conversation = await service.a_conversation()
    await service.accept(a_message(to=conversation, key=KEY))
    with pytest.raises(TurnInProgress):
        await service.take_turn(a_message(to=conversation, key=KEY))


@pytest.mark.parametrize("key", [None, "key-2"])
async def test_for_any_other_message_the_conversation_is_busy(key: str | None) -> None:
    service = Service()
    attempt = await accepted(service)
    with pytest.raises(ConversationBusy):
        await service.take_turn(a_message("Oi?", to=attempt.conversation_id, key=key))
    assert service.texts(attempt.conversation_id) == ["Cadê meu pedido?"]


async def test_of_many_at_once_with_one_key_one_is_answered() -> None:
    service = Service("Uma vez.")
    results = await asyncio.gather(
        *(service.take_turn(a_message(key=KEY)) for _ in range(20)), return_exceptions=True
    )
    answered = [result for result in results if isinstance(result, TurnOutcome)]
    assert sum(not outcome.replayed for outcome in answered) == 1
    assert all(isinstance(each, (TurnOutcome, TurnInProgress)) for each in results)
    assert len(service.model.requests) == 1
    assert len(service.state.turns) == len(service.state.headers) == 1


async def test_many_at_once_in_one_conversation_are_answered_one_at_a_time() -> None:
    service = Service()
    conversation = await service.a_conversation()
    results = await asyncio.gather(
        *(
            service.take_turn(a_message(f"q {number}", to=conversation, key=f"key-{number}"))
            for number in range(20)
        ),
        return_exceptions=True,
    )
    answered = [result for result in results if isinstance(result, TurnOutcome)]
    assert all(isinstance(each, (TurnOutcome, ConversationBusy)) for each in results)
    assert answered
    messages = service.messages(conversation)
    assert [each.sequence for each in messages] == list(range(1, 2 * len(answered) + 1))
    assert [each.turn_id for each in messages[::2]] == [each.turn_id for each in messages[1::2]]


# After a crash


async def test_after_its_lease_the_same_key_takes_the_turn_over() -> None:
    service = Service("Agora sim.")
    crashed = await accepted(service)
    service.clock.advance(LEASE_SECONDS)
    outcome = await service.take_turn(a_message(key=KEY))
    assert not outcome.replayed
    assert (outcome.turn.id, outcome.turn.attempt) == (crashed.turn_id, 2)
    assert service.texts(crashed.conversation_id) == ["Cadê meu pedido?", "Agora sim."]


async def test_what_a_zombie_brings_is_discarded() -> None:
    service = Service("dead", "alive")
    zombie = await service.take_turn.generate(await accepted(service))
    service.clock.advance(LEASE_SECONDS)
    attempt = (await service.accept(a_message(key=KEY))).attempt
    assert attempt is not None
    with pytest.raises(StaleAttempt):
        await service.take_turn.record(zombie)
    with pytest.raises(StaleAttempt):
        await service.take_turn.fail(zombie, RuntimeError())
    await service.take_turn.run(attempt)
    with pytest.raises(StaleAttempt):
        await service.take_turn.record(zombie)
    assert service.texts(zombie.conversation_id) == ["Cadê meu pedido?", "alive"]


async def test_a_zombie_does_not_fail_the_turn_that_it_has_lost() -> None:
    service = Service(unavailable())
    zombie = await accepted(service)
    service.clock.advance(LEASE_SECONDS)
    taken_over = await service.accept(a_message(key=KEY))
    with pytest.raises(DeadlineExceeded):
        await service.take_turn.run(zombie)
    assert service.state.turns[zombie.turn_id] == taken_over.turn


async def test_another_message_fails_a_crashed_turn_whose_key_runs_it_again() -> None:
    service = Service("a2", "a1")
    crashed = await accepted(service, "q1")
    service.clock.advance(LEASE_SECONDS)
    await service.take_turn(a_message("q2", to=crashed.conversation_id))
    outcome = await service.take_turn(a_message("q1", key=KEY))
    assert (outcome.turn.id, outcome.turn.attempt) == (crashed.turn_id, 2)
    assert service.texts(crashed.conversation_id) == ["q1", "q2", "a2", "a1"]
    assert shown_in(service.model.requests[-1]) == ["q2", "a2", "q1"]


async def test_a_turn_that_crashed_too_often_is_failed_for_good() -> None:
    service = Service()
    await accepted(service)
    for _ in range(MAX_FAILURES - 1):
        service.clock.advance(LEASE_SECONDS)
        assert (await service.accept(a_message(key=KEY))).attempt is not None
    service.clock.advance(LEASE_SECONDS)
    for _ in range(2):
        with pytest.raises(TurnFailed) as failed:
            await service.take_turn(a_message(key=KEY))
        assert failed.value.code == LEASE_RAN_OUT
    (turn,) = service.state.turns.values()
    assert (turn.status, turn.failures) == (TurnStatus.FAILED, MAX_FAILURES)


# After a failure


async def test_after_a_transient_failure_the_same_key_runs_the_turn_again() -> None:
    service = Service(unavailable(), always="Agora sim.")
    with pytest.raises(ModelUnavailable):
        await service.take_turn(a_message(key=KEY))
    outcome = await service.take_turn(a_message(key=KEY))
    assert not outcome.replayed
    assert (outcome.turn.attempt, outcome.turn.failures) == (2, 1)
    assert service.texts(outcome.turn.conversation_id) == ["Cadê meu pedido?", "Agora sim."]
    assert (await service.take_turn(a_message(key=KEY))).replayed


async def test_between_failure_and_retry_the_conversation_goes_on() -> None:
    service = Service(unavailable(), "a2", "a1")
    conversation = await service.a_conversation()
    with pytest.raises(ModelUnavailable):
        await service.take_turn(a_message("q1", to=conversation, key=KEY))
    await service.take_turn(a_message("q2", to=conversation, key="key-2"))
    await service.take_turn(a_message("q1", to=conversation, key=KEY))
    assert service.texts(conversation) == ["q1", "q2", "a2", "a1"]
    assert shown_in(service.model.requests[-1]) == ["q2", "a2", "q1"]


async def test_a_retry_has_a_deadline_of_its_own() -> None:
    service = Service(unavailable(), always="Agora sim.")
    with pytest.raises(ModelUnavailable):
        await service.take_turn(a_message(key=KEY))
    service.clock.advance(3600)
    turn = (await service.take_turn(a_message(key=KEY, wait_seconds=7))).turn
    assert (turn.deadline - service.clock.now).total_seconds() == 7


async def test_while_a_retry_runs_its_key_is_in_progress() -> None:
    service = Service(unavailable())
    with pytest.raises(ModelUnavailable):
        await service.take_turn(a_message(key=KEY))
    assert (await service.accept(a_message(key=KEY))).attempt is not None
    with pytest.raises(TurnInProgress):
        await service.take_turn(a_message(key=KEY))


async def test_after_five_failures_the_turn_is_failed_for_good() -> None:
    service = Service(always=unavailable())
    for _ in range(MAX_FAILURES - 1):
        with pytest.raises(ModelUnavailable):
            await service.take_turn(a_message(key=KEY))
    for _ in range(2):
        with pytest.raises(TurnFailed) as failed:
            await service.take_turn(a_message(key=KEY))
        assert failed.value.code == "model_unavailable"
    assert len(service.model.requests) == MAX_FAILURES


async def test_in_a_closed_conversation_a_failed_turn_does_not_run_again() -> None:
    service = Service(unavailable())
    conversation = await service.a_conversation()
    with pytest.raises(ModelUnavailable):
        await service.take_turn(a_message(to=conversation, key=KEY))
    await service.close_conversation(TENANT, conversation)
    with pytest.raises(ConversationClosed):
        await service.take_turn(a_message(to=conversation, key=KEY))


async def test_a_request_that_was_refused_before_the_claim_leaves_its_key_free() -> None:
    service = Service(guardrail=ScriptedGuardrail(fails_on=["Oi"]))
    with pytest.raises(ProsaError):
        await service.take_turn(a_message("Oi", key=KEY))
    assert not (await service.take_turn(a_message("Olá", key=KEY))).replayed


async def test_a_key_that_was_taken_and_is_gone_stays_taken_for_now() -> None:
    service = Service()
    service.commits.append(Trouble(error=KeyTaken(KEY)))
    with pytest.raises(KeyTaken):
        await service.take_turn(a_message(key=KEY))


# What makes two requests the same


def test_a_fingerprint_is_a_sha_256_that_says_nothing_of_the_text() -> None:
    digest = fingerprint(text="segredo")
    assert len(digest) == 64
    assert int(digest, 16)


def test_the_order_of_fields_and_of_metadata_does_not_matter() -> None:
    one = fingerprint(text="Oi", metadata={"a": "1", "b": "2"})
    assert one == fingerprint(metadata={"b": "2", "a": "1"}, text="Oi")


def test_every_value_every_name_and_every_absence_matters() -> None:
    digests = {
        fingerprint(text="Oi"),
        fingerprint(text="oi"),
        fingerprint(text="O\u0069\u0301"),
        fingerprint(text="O\u00ed"),
        fingerprint(text=None),
        fingerprint(text="None"),
        fingerprint(channel="Oi"),
        fingerprint(text="Oi", channel=None),
        fingerprint(text="Oi", metadata={}),
        fingerprint(text="Oi", metadata={"a": "1"}),
    }
    assert len(digests) == 10
