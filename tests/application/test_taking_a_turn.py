"""A turn, whole and step by step: the same steps in one process or in several."""

from dataclasses import replace
from datetime import timedelta, timezone

import pytest

from prosa.adapters.in_memory.intent_classifier import ScriptedIntentClassifier
from prosa.adapters.in_memory.language_model import ScriptedReply
from prosa.application.accept_turn import CustomerMessage
from prosa.application.ports.intent_classifier import Classification, ClassificationRequest
from prosa.application.ports.language_model import CALLS_PER_ATTEMPT, ModelUnavailable
from prosa.application.turn_policy import TurnPolicy
from prosa.domain.content import Text, ToolCall, text_of
from prosa.domain.conversation_header import Owner
from prosa.domain.errors import (
    ConversationClosed,
    ConversationNotFound,
    MessageTooLong,
    StaleAttempt,
    TurnWithoutReply,
)
from prosa.domain.identifiers import ConversationId
from prosa.domain.intent import Intent
from prosa.domain.message import MAX_MESSAGE_CHARACTERS
from prosa.domain.reply import Call, CallPurpose, FinishReason, TokenUsage
from prosa.domain.turn import Attempt, TurnStatus
from prosa.testing.builders import NOON
from tests.application.service import (
    INTENTS,
    KEY,
    PROMPT,
    REFUND,
    TENANT,
    Service,
    a_message,
    shown_in,
)

A_CALL_TO_CLASSIFY = Call(
    purpose=CallPurpose.CLASSIFY,
    provider="scripted",
    model="small",
    usage=TokenUsage(input_tokens=3, output_tokens=1),
)


async def accepted(service: Service, text: str = "Quero meu dinheiro") -> Attempt:
    """Claim a turn and give its attempt."""
    attempt = (await service.accept(a_message(text))).attempt
    assert attempt is not None
    return attempt


def knowing_refunds() -> ScriptedIntentClassifier:
    return ScriptedIntentClassifier(
        INTENTS, {"Quero meu dinheiro": REFUND}, calls=(A_CALL_TO_CLASSIFY,)
    )


async def test_a_message_becomes_a_stored_reply() -> None:
    usage = TokenUsage(input_tokens=50, output_tokens=7, cached_input_tokens=9)
    scripted = ScriptedReply(
        parts=(Text(text="Devolvemos em 3 dias."),), finish_reason=FinishReason.LENGTH, usage=usage
    )
    service = Service(scripted, classifier=knowing_refunds())
    outcome = await service.take_turn(a_message("Quero meu dinheiro"))
    turn = outcome.turn
    assert not outcome.replayed
    assert (turn.status, turn.intent, turn.attempt) == (TurnStatus.COMPLETED, REFUND, 1)
    assert turn.reply is not None
    assert turn.reply.text == "Devolvemos em 3 dias."
    assert turn.reply.provenance is not None
    assert turn.reply.provenance.finish_reason is FinishReason.LENGTH
    assert turn.reply.provenance.provider == "scripted"
    assert turn.reply.provenance.usage == usage
    assert turn.reply.provenance.prompt == PROMPT.reference
    assert service.texts(turn.conversation_id) == ["Quero meu dinheiro", "Devolvemos em 3 dias."]
    assert await service.reader.get_turn(TENANT, turn.id) == turn
    assert [asked.turn_id for asked in service.model.requests] == [turn.id]


async def test_a_turn_takes_two_commits_and_leaves_three_events() -> None:
    service = Service()
    await service.take_turn(a_message())
    (header,) = service.state.headers.values()
    assert header.version == 2
    assert service.event_names() == ["ConversationStarted", "TurnStarted", "TurnCompleted"]


async def test_a_message_that_names_no_conversation_starts_one() -> None:
    service = Service()
    message = CustomerMessage(
        text="Oi", tenant_id=TENANT, customer_id="ana", channel="web", metadata={"page": "/"}
    )
    turn = (await service.take_turn(message)).turn
    header = service.state.headers[turn.conversation_id]
    assert (header.customer_id, header.channel) == ("ana", "web")
    assert turn.message.metadata == {"page": "/"}


async def test_a_message_that_names_a_conversation_continues_it() -> None:
    service = Service("Olá!", "Tudo bem.")
    conversation = await service.a_conversation()
    await service.take_turn(a_message("Oi", to=conversation))
    await service.take_turn(a_message("Tudo bem?", to=conversation))
    assert service.texts(conversation) == ["Oi", "Olá!", "Tudo bem?", "Tudo bem."]
    assert [message.sequence for message in service.messages(conversation)] == [1, 2, 3, 4]


async def test_a_conversation_that_does_not_exist_is_not_found() -> None:
    with pytest.raises(ConversationNotFound):
        await Service().take_turn(a_message(to=ConversationId("conv_0")))


async def test_a_closed_conversation_takes_no_message() -> None:
    service = Service()
    conversation = await service.a_conversation()
    await service.close_conversation(TENANT, conversation)
    with pytest.raises(ConversationClosed):
        await service.take_turn(a_message(to=conversation))
    with pytest.raises(ConversationClosed):
        await service.take_turn(a_message(to=conversation, key="a-new-key"))
    assert service.messages(conversation) == []


async def test_a_message_that_is_too_long_leaves_nothing_behind() -> None:
    service = Service()
    with pytest.raises(MessageTooLong):
        await service.take_turn(a_message("x" * (MAX_MESSAGE_CHARACTERS + 1), key=KEY))
    assert service.state.headers == {}
    assert service.state.requests == {}


async def test_while_a_human_answers_the_message_is_stored_and_no_model_is_asked() -> None:
    service = Service()
    conversation = await service.a_conversation()
    taken_over = replace(service.state.headers[conversation], owner=Owner.HUMAN)
    service.state.headers[conversation] = taken_over
    outcome = await service.take_turn(a_message(to=conversation, key=KEY))
    assert (outcome.turn.status, outcome.turn.reply) == (TurnStatus.COMPLETED, None)
    assert not outcome.replayed
    assert service.texts(conversation) == ["Cadê meu pedido?"]
    assert service.model.requests == []
    again = await service.take_turn(a_message(to=conversation, key=KEY))
    assert (again.turn, again.replayed) == (outcome.turn, True)


# What the model is asked


async def test_today_is_the_day_where_customers_live() -> None:
    service = Service(policy=TurnPolicy(time_zone=timezone(timedelta(hours=-3))))
    for hours, today in ((0, "2026-03-02"), (14, "2026-03-02"), (2, "2026-03-03")):
        service.clock.advance(hours * 3600)  # from noon in Greenwich
        await service.take_turn(a_message())
        assert f"Today is {today};" in service.model.requests[-1].instructions


async def test_the_model_is_given_the_filled_in_prompt_and_the_conversation() -> None:
    policy = TurnPolicy(max_output_tokens=99, temperature=0.7)
    service = Service("Olá!", classifier=knowing_refunds(), policy=policy)
    conversation = await service.a_conversation()
    await service.take_turn(a_message("Oi", to=conversation))
    await service.take_turn(a_message("Quero meu dinheiro", to=conversation))
    request = service.model.requests[-1]
    assert request.instructions == "Today is 2026-03-02; it is about refund."
    assert [text_of(utterance.parts) for utterance in request.utterances] == [
        "Oi",
        "Olá!",
        "Quero meu dinheiro",
    ]
    assert (request.tenant_id, request.max_output_tokens, request.temperature) == (TENANT, 99, 0.7)
    assert request.answer_format is None


async def test_a_turn_that_was_not_classified_is_generated_without_an_intent() -> None:
    service = Service()
    attempt = await service.take_turn.generate(await accepted(service))
    assert service.model.requests[0].instructions == "Today is 2026-03-02; it is about ."
    assert attempt.intent is None


async def test_the_model_is_shown_what_fits_beside_instructions_and_answer() -> None:
    instructions = 13  # tokens: 38 characters, three each
    answer = 100
    exchange = 2 * (4 + 2)  # two messages of 5 characters
    service = Service(
        always="a" * 5,
        context_tokens=instructions + answer + exchange + 6,
        policy=TurnPolicy(max_output_tokens=answer),
    )
    conversation = await service.a_conversation()
    for number in range(4):
        await service.take_turn(a_message(f"q {number}..", to=conversation))
    requests = service.model.requests
    assert shown_in(requests[1]) == ["q 0..", "aaaaa", "q 1.."]
    assert shown_in(requests[3]) == ["q 2..", "aaaaa", "q 3.."]


async def test_the_model_is_shown_so_many_messages_at_most() -> None:
    service = Service(policy=TurnPolicy(history_messages=3))
    conversation = await service.a_conversation()
    for number in range(4):
        await service.take_turn(a_message(f"q {number}", to=conversation))
    assert shown_in(service.model.requests[-1]) == ["q 2", "Claro!", "q 3"]


async def test_roles_alternate_for_a_model_that_needs_it() -> None:
    service = Service(needs_alternating_roles=True)
    attempt = await accepted(service, "Oi")
    await service.take_turn.fail(attempt, RuntimeError())
    await service.take_turn(a_message("Alguém?", to=attempt.conversation_id))
    (utterance,) = service.model.requests[0].utterances
    assert text_of(utterance.parts) == "Oi\n\nAlguém?"


async def test_a_tool_call_of_the_models_is_not_stored() -> None:
    """Until tools can be called, the words are the reply."""
    call = ToolCall(id="call_1", name="find_order", arguments="{}")
    service = Service(ScriptedReply(parts=(Text(text="Vou olhar. "), call)))
    turn = (await service.take_turn(a_message())).turn
    assert turn.reply is not None
    assert turn.reply.parts == (Text(text="Vou olhar. "),)


async def test_a_canned_reply_in_place_of_a_models_is_stored_and_is_no_call() -> None:
    service = Service(ScriptedReply(parts=(Text(text="Já voltamos."),), degraded=True))
    turn = (await service.take_turn(a_message())).turn
    assert turn.reply is not None
    assert turn.reply.provenance is not None
    assert turn.reply.provenance.degraded
    assert service.state.attempts[turn.id, 1].calls == ()


# Deadlines


@pytest.mark.parametrize(
    ("wait", "seconds", "for_models"),
    [(None, 25.0, 23.0), (60.0, 25.0, 23.0), (10.0, 10.0, 8.0), (5.0, 5.0, 4.0)],
)
async def test_the_caller_may_shorten_the_deadline_and_a_share_is_kept_for_the_commit(
    wait: float | None, seconds: float, for_models: float
) -> None:
    service = Service(classifier=knowing_refunds())
    turn = (await service.take_turn(a_message(wait_seconds=wait))).turn
    assert turn.deadline == NOON + timedelta(seconds=seconds)
    assert service.model.requests[0].deadline == NOON + timedelta(seconds=for_models)
    assert service.classifier.requests[0].deadline == NOON + timedelta(seconds=for_models)


@pytest.mark.parametrize(("waits", "seconds"), [(True, 25), (False, 120)])
async def test_nobody_waits_longer_than_gateways_do_but_a_turn_may_take_longer(
    *, waits: bool, seconds: int
) -> None:
    service = Service(policy=TurnPolicy(deadline_seconds=120))
    turn = (await service.take_turn(replace(a_message(), caller_waits=waits))).turn
    assert turn.deadline == NOON + timedelta(seconds=seconds)


# The budget of calls


async def test_an_attempt_has_four_calls_and_one_of_them_is_for_classifying() -> None:
    service = Service(classifier=knowing_refunds())
    await service.take_turn(a_message())
    assert service.classifier.requests[0].budget.remaining == 1
    assert service.model.requests[0].budget.remaining == CALLS_PER_ATTEMPT - 1


class SpendingClassifier(ScriptedIntentClassifier):
    """Asks a provider, which costs a call of the budget."""

    async def classify(self, request: ClassificationRequest) -> Classification:
        request.budget.spend()
        return await super().classify(request)


async def test_what_classifying_spent_is_not_there_for_generating() -> None:
    classifier = SpendingClassifier(INTENTS, calls=(A_CALL_TO_CLASSIFY,))
    service = Service(classifier=classifier)
    classified = await service.take_turn.classify(await accepted(service))
    assert classified.calls_made == 1
    generated = await service.take_turn.generate(classified)
    assert generated.calls_made == 2
    assert [call.purpose for call in generated.calls] == [
        CallPurpose.CLASSIFY,
        CallPurpose.GENERATE,
    ]


async def test_every_answered_call_is_kept_with_what_it_used() -> None:
    service = Service(classifier=knowing_refunds())
    turn = (await service.take_turn(a_message("Quero meu dinheiro"))).turn
    kept = service.state.attempts[turn.id, 1]
    assert kept.calls == (
        A_CALL_TO_CLASSIFY,
        Call(
            purpose=CallPurpose.GENERATE,
            provider="scripted",
            model="scripted",
            usage=TokenUsage(input_tokens=10, output_tokens=5),
        ),
    )
    assert kept.prompt == PROMPT.reference


# Step by step


async def test_the_steps_one_by_one_are_the_whole() -> None:
    service = Service(classifier=knowing_refunds())
    attempt = await accepted(service)
    classified = await service.take_turn.classify(attempt)
    assert (classified.intent, classified.reply) == (REFUND, None)
    generated = await service.take_turn.generate(classified)
    assert generated.reply is not None
    assert service.state.turns[attempt.turn_id].status is TurnStatus.RUNNING
    turn = await service.take_turn.record(generated)
    whole = await Service(classifier=knowing_refunds()).take_turn(a_message("Quero meu dinheiro"))
    assert whole.turn.reply is not None
    assert turn.reply is not None
    assert turn.reply.parts == whole.turn.reply.parts
    assert (turn.status, turn.intent) == (whole.turn.status, whole.turn.intent)


async def test_a_step_finds_what_it_was_not_asked_to_find_left_alone() -> None:
    service = Service(classifier=knowing_refunds())
    attempt = await accepted(service)
    classified = await service.take_turn.classify(attempt)
    assert classified == replace(attempt, intent=REFUND, calls=(A_CALL_TO_CLASSIFY,))


async def test_steps_in_processes_of_their_own_pass_the_attempt_on_by_the_store() -> None:
    service = Service("Olá!", "Devolvemos.", classifier=SpendingClassifier(INTENTS))
    conversation = await service.a_conversation()
    await service.take_turn(a_message("Oi", to=conversation))
    message = a_message("Quero meu dinheiro", to=conversation)
    turn = (await service.accept(message)).turn

    async def load() -> Attempt:
        history = service.policy.history_messages
        return await service.attempts.get(TENANT, turn.id, 1, history=history)

    await service.attempts.save(await service.take_turn.classify(await load()))
    await service.attempts.save(await service.take_turn.generate(await load()))
    recorded = await service.take_turn.record(await load())
    assert recorded.reply is not None
    assert recorded.reply.text == "Devolvemos."
    assert recorded.intent == Intent(name="other", confidence=0.0)
    assert shown_in(service.model.requests[-1]) == ["Oi", "Olá!", "Quero meu dinheiro"]
    assert service.state.attempts[turn.id, 1].calls_made == 2


async def test_a_repeated_step_returns_what_it_found() -> None:
    service = Service("Uma vez.", classifier=knowing_refunds())
    classified = await service.take_turn.classify(await accepted(service))
    assert await service.take_turn.classify(classified) is classified
    generated = await service.take_turn.generate(classified)
    assert await service.take_turn.generate(generated) is generated
    assert (len(service.model.requests), len(service.classifier.requests)) == (1, 1)


async def test_a_repeated_record_finds_what_it_recorded() -> None:
    service = Service()
    generated = await service.take_turn.generate(await accepted(service))
    turn = await service.take_turn.record(generated)
    service.clock.advance(5)
    assert await service.take_turn.record(generated) == turn
    assert len(service.messages(turn.conversation_id)) == 2
    assert service.event_names().count("TurnCompleted") == 1


async def test_nothing_is_recorded_before_it_was_generated() -> None:
    service = Service()
    with pytest.raises(TurnWithoutReply):
        await service.take_turn.record(await accepted(service))


async def test_an_attempt_that_failed_cannot_be_recorded() -> None:
    service = Service()
    generated = await service.take_turn.generate(await accepted(service))
    await service.take_turn.fail(generated, RuntimeError())
    with pytest.raises(StaleAttempt):
        await service.take_turn.record(generated)


async def test_every_passage_is_judged_for_its_tenant() -> None:
    service = Service()
    await service.take_turn(a_message())
    assert {passage.tenant_id for passage in service.guardrail.passages} == {TENANT}
    assert service.classifier.requests[0].tenant_id == TENANT


async def test_a_budget_that_is_spent_makes_no_call() -> None:
    service = Service()
    spent = replace(await accepted(service), calls_made=CALLS_PER_ATTEMPT)
    with pytest.raises(ModelUnavailable, match="all the calls"):
        await service.take_turn.generate(spent)
    assert service.model.requests == []
