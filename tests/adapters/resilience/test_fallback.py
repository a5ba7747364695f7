"""A chain of models: who is asked next, with what time, and what is told where nobody answers."""

import asyncio
import logging
from dataclasses import fields, replace

import pytest

from prosa.adapters.resilience.chain_walk import RESERVE
from prosa.adapters.resilience.circuit_breaker import BreakerState
from prosa.adapters.resilience.language_model import FallbackLanguageModel
from prosa.application.ports.language_model import (
    AnswerFormat,
    CallBudget,
    CircuitOpen,
    ContentFiltered,
    ContextTooLong,
    LanguageModelError,
    ModelMisconfigured,
    ModelQuotaExhausted,
    ModelRateLimited,
    ModelRejectedRequest,
    ModelReplyMalformed,
    ModelRequest,
    ModelTimedOut,
    ModelUnavailable,
    OnText,
)
from prosa.domain.content import text_of
from prosa.domain.identifiers import TenantId, TurnId
from prosa.domain.reply import Reply
from prosa.testing.virtual_time import clock, timer
from tests.adapters.resilience.models import (
    DOWN,
    FAILURES,
    HANG,
    REST,
    Chain,
    Listener,
    Scripted,
    asked,
    chain,
    says,
    utterances,
)

FALLS_BACK = [
    DOWN,
    ModelTimedOut("it took too long"),
    ModelRateLimited("too many"),
    ModelRateLimited("too many for an hour", 3_600.0),
    ModelQuotaExhausted("it has no credit"),
    ModelMisconfigured("wrong key"),
    ModelReplyMalformed("it is empty"),
    LanguageModelError("something new"),
]
STAYS = [ContentFiltered("filtered"), ModelRejectedRequest("refused")]


async def answer(chain: Chain, seconds: float = 20.0) -> str:
    return text_of((await chain.model.generate(asked(seconds=seconds))).parts)


async def failure(chain: Chain, seconds: float = 20.0) -> LanguageModelError:
    with pytest.raises(LanguageModelError) as failed:
        await answer(chain, seconds)
    return failed.value


async def test_the_first_answers_where_it_can() -> None:
    both = chain(Scripted("a", "A"), Scripted("b", "B"))
    assert await answer(both) == "A"
    assert both.calls == [1, 0]


async def test_a_model_is_asked_all_that_the_chain_was_asked() -> None:
    model = Scripted("a")
    request = replace(
        asked(),
        tenant_id=TenantId("acme"),
        turn_id=TurnId("turn_1"),
        instructions="Be kind.",
        temperature=0.7,
        answer_format=AnswerFormat(name="intent", schema="{}"),
    )
    await chain(model).model.generate(request)
    of_the_walk = {"deadline", "first_text_by", "start_by"}
    for name in {field.name for field in fields(ModelRequest)} - of_the_walk:
        value = getattr(request, name)
        assert getattr(model.requests[0], name) == value
        assert value is not None, f"{name} is not asked for here"


@pytest.mark.parametrize("error", FALLS_BACK, ids=repr)
async def test_where_the_first_fails_the_second_answers(error: LanguageModelError) -> None:
    both = chain(Scripted("a", default=error), Scripted("b", "B"))
    assert await answer(both) == "B"


@pytest.mark.parametrize("error", STAYS, ids=repr)
async def test_what_is_refused_is_asked_of_nobody_else(error: LanguageModelError) -> None:
    both = chain(Scripted("a", default=error), Scripted("b", "B"))
    assert await failure(both) is error
    assert both.calls == [1, 0]


async def test_an_open_circuit_costs_no_call_and_no_time() -> None:
    both = chain(Scripted("a", default=ModelMisconfigured("wrong key")), Scripted("b"))
    await answer(both)
    before = timer()
    request = asked()
    await both.model.generate(request)
    assert both.calls == [1, 2]
    assert request.budget.remaining == CallBudget().remaining - 1
    assert timer() == before


async def test_a_model_that_hangs_leaves_two_fifths_of_the_time_to_the_next() -> None:
    first, second = Scripted("a", HANG), Scripted("b", "B")
    both = chain(first, second)
    assert await answer(both, 20.0) == "B"
    assert first.asked_at == [0]
    assert second.asked_at == [pytest.approx(12, abs=RESERVE.total_seconds())]
    assert both.view(0).failures == 1


async def test_the_last_may_use_all_that_is_left() -> None:
    both = chain(Scripted("a", HANG), Scripted("b", says("B", after=7.5)))
    assert await answer(both, 20.0) == "B"


async def test_a_chain_of_one_may_use_all_of_it() -> None:
    assert await answer(chain(Scripted("a", says("A", after=19.5))), 20.0) == "A"


async def test_all_that_stall_are_a_timeout_a_moment_before_the_deadline() -> None:
    both = chain(Scripted("a", HANG), Scripted("b", HANG))
    assert isinstance(await failure(both, 20.0), ModelTimedOut)
    assert timer() == pytest.approx(20.0 - RESERVE.total_seconds())
    assert both.view(0).failures == both.view(1).failures == 1


async def test_none_starts_with_less_than_an_eighth_of_the_time_left() -> None:
    models = [Scripted(name, HANG) for name in "abcd"]
    await failure(chain(*models), 20.0)
    assert [model.calls for model in models] == [1, 1, 1, 0]


async def test_with_much_time_three_seconds_are_enough_to_start() -> None:
    models = [Scripted(name, HANG) for name in "abcd"]
    await failure(chain(*models), 60.0)
    assert [model.calls for model in models] == [1, 1, 1, 1]


async def test_before_the_first_text_the_chain_falls_back_silently() -> None:
    listener = Listener()
    both = chain(Scripted("a", default=says("Oi", cut_after=0)), Scripted("b", "Bom dia"))
    await both.model.generate(asked(), listener)
    assert listener.text == "Bom dia"


async def test_after_it_the_answer_is_never_spliced() -> None:
    listener = Listener()
    both = chain(Scripted("a", says("Bom dia, Ana", cut_after=7)), Scripted("b", "Olá"))
    with pytest.raises(ModelUnavailable):
        await both.model.generate(asked(), listener)
    assert listener.text == "Bom dia"
    assert both.calls == [1, 0]


async def test_a_plain_answer_that_breaks_off_is_a_failed_attempt() -> None:
    both = chain(Scripted("a", default=says("Bom dia, Ana", cut_after=7)), Scripted("b", "Olá"))
    assert await answer(both) == "Olá"


async def test_a_stream_that_does_not_begin_in_time_falls_back() -> None:
    listener = Listener()
    both = chain(Scripted("a", HANG), Scripted("b", "B"))
    await both.model.generate(asked(seconds=20), listener)
    assert listener.text == "B"
    assert timer() == pytest.approx(12, abs=RESERVE.total_seconds())
    assert both.view(0).failures == 1


class Slow(Scripted):
    """Says a word at once, and another after 15 s."""

    async def generate(self, request: ModelRequest, on_text: OnText | None = None) -> Reply:
        if on_text:
            await on_text("Bom ")
        await asyncio.sleep(15)
        if on_text:
            await on_text("dia")
        return await super().generate(request)


async def test_a_stream_that_has_begun_may_use_all_of_the_time() -> None:
    listener = Listener()
    both = chain(Slow("a"), Scripted("b"))
    await both.model.generate(asked(seconds=20), listener)
    assert listener.text == "Bom dia"
    assert timer() == 15


async def test_a_turn_makes_at_most_four_calls() -> None:
    models = [Scripted(name, default=DOWN) for name in "abc"]
    all_down = chain(*models)
    request = asked()
    with pytest.raises(ModelUnavailable, match="it is down"):
        await all_down.model.generate(request)
    assert sum(all_down.calls) == 4
    assert request.budget.remaining == 0


async def test_where_one_call_is_left_only_one_model_is_asked() -> None:
    both = chain(Scripted("a", default=DOWN), Scripted("b"))
    with pytest.raises(ModelUnavailable, match="it is down"):
        await both.model.generate(asked(budget=CallBudget(1)))
    assert both.calls == [1, 0]
    assert both.view(1).failures == 0


async def test_a_call_saved_by_an_open_circuit_is_the_next_models() -> None:
    both = chain(Scripted("a", default=ModelMisconfigured("wrong key")), Scripted("b", default="B"))
    await answer(both)
    await both.model.generate(asked(budget=CallBudget(1)))
    assert both.calls == [1, 2]


async def test_all_circuits_open_tell_when_the_first_is_tried_again() -> None:
    wrong = ModelMisconfigured("wrong key")
    both = chain(Scripted("a", default=wrong), Scripted("b", says("B"), default=wrong))
    await answer(both)
    await asyncio.sleep(10)
    await failure(both)
    error = await failure(both)
    assert isinstance(error, CircuitOpen)
    assert error.retry_after == REST - 10


async def test_the_soonest_of_what_is_said_to_pass_is_told() -> None:
    wrong = ModelMisconfigured("wrong key")
    both = chain(
        Scripted("a", default=wrong), Scripted("b", "B", default=ModelRateLimited("full", 300.0))
    )
    await answer(both)
    error = await failure(both)
    assert isinstance(error, CircuitOpen)
    assert error.retry_after == REST


async def test_a_failure_that_may_pass_at_any_time_is_told_before_a_wait() -> None:
    both = chain(Scripted("a", default=DOWN), Scripted("b", default=ModelRateLimited("full", 300)))
    assert await failure(both) is DOWN


async def test_a_timeout_with_time_left_says_that_no_model_is_there() -> None:
    one = chain(Scripted("a", default=ModelTimedOut("no connection within 5 s")))
    error = await failure(one)
    assert isinstance(error, ModelUnavailable)
    assert isinstance(error.__cause__, ModelTimedOut)


async def test_a_stalled_model_before_one_that_is_down_is_no_deadline() -> None:
    both = chain(Scripted("a", HANG), Scripted("b", default=DOWN))
    assert await failure(both) is DOWN


async def test_a_storm_of_errors_comes_to_an_end() -> None:
    both = chain(Scripted("a", default=DOWN), Scripted("b", default=DOWN))
    for _ in range(50):
        await failure(both)
    assert both.calls == [FAILURES, FAILURES]
    assert both.view(0).state is both.view(1).state is BreakerState.OPEN


async def test_what_is_asked_next_is_logged_but_not_of_open_circuits(
    caplog: pytest.LogCaptureFixture,
) -> None:
    both = chain(Scripted("a", default=ModelTimedOut("a did not answer")), Scripted("b"))
    for _ in range(FAILURES + 3):
        await answer(both)
    fallbacks = [message for message in caplog.messages if "instead" in message]
    assert fallbacks == ["a did not answer; asking b instead"] * FAILURES


class TestLongConversations:
    """What a model is shown of a conversation that it may not hold."""

    async def test_the_chain_holds_what_its_largest_model_does(self) -> None:
        both = chain(Scripted("a", context_tokens=10), Scripted("b", context_tokens=99)).model
        assert both.context_tokens == 99
        assert both.name == "a, b"

    @pytest.mark.parametrize("alternating", [False, True])
    async def test_it_needs_alternating_roles_where_any_model_does(
        self, *, alternating: bool
    ) -> None:
        both = chain(Scripted("a"), Scripted("b", alternating=alternating)).model
        assert both.needs_alternating_roles is alternating

    async def test_each_model_is_shown_what_it_holds(self) -> None:
        small = Scripted("a", default=DOWN, context_tokens=10 + 2 * (4 + 10) + 5)
        large = Scripted("b", context_tokens=1_000)
        texts = ("x" * 30, "y" * 30, "z" * 30)
        await chain(small, large).model.generate(asked(*texts))
        assert small.requests[0].utterances == utterances(*texts)[2:]
        assert large.requests[0].utterances == utterances(*texts)

    async def test_a_larger_model_further_down_is_asked_next(self) -> None:
        small = Scripted("a", default=ContextTooLong("too long"), context_tokens=500)
        smaller = Scripted("b", context_tokens=400)
        large = Scripted("c", "C", context_tokens=1_000)
        all_three = chain(small, smaller, large)
        assert await answer(all_three) == "C"
        assert all_three.calls == [1, 0, 1]
        assert all_three.view(0).failures == 0

    async def test_where_there_is_none_the_same_is_asked_with_half_of_it(self) -> None:
        large = Scripted("a", ContextTooLong("too long"), "A", context_tokens=1_000)
        small = Scripted("b", context_tokens=500)
        texts = [letter * 30 for letter in "uvwxyza"]
        both = chain(large, small)
        await both.model.generate(asked(*texts))
        assert large.requests[1].utterances == utterances(*texts)[4:]
        assert both.calls == [2, 0]

    async def test_it_is_cut_once_only(self) -> None:
        model = Scripted("a", default=ContextTooLong("too long"))
        one = chain(model)
        with pytest.raises(ContextTooLong):
            await one.model.generate(asked(*["palavras"] * 9))
        assert one.calls == [2]

    async def test_the_newest_exchange_alone_cannot_be_cut(self) -> None:
        one = chain(Scripted("a", default=ContextTooLong("too long")))
        assert isinstance(await failure(one), ContextTooLong)
        assert one.calls == [1]


async def test_no_call_and_no_time_are_told_apart() -> None:
    fallback = FallbackLanguageModel([Scripted("a")], clock=clock)
    with pytest.raises(ModelUnavailable, match="all the calls"):
        await fallback.generate(asked(budget=CallBudget(0)))
    with pytest.raises(ModelTimedOut):
        await fallback.generate(asked(seconds=0.0))


async def test_a_cancelled_turn_asks_nobody_else(caplog: pytest.LogCaptureFixture) -> None:
    both = chain(Scripted("a", HANG), Scripted("b"))
    with caplog.at_level(logging.DEBUG, "prosa"):
        turn = asyncio.create_task(answer(both))
        await asyncio.sleep(1)
        turn.cancel()
        with pytest.raises(asyncio.CancelledError):
            await turn
    assert both.calls == [1, 0]
    assert caplog.messages == []


async def test_many_turns_at_once_share_breakers_and_retries() -> None:
    both = chain(Scripted("a", default=says("", after=1, cut_after=0)), Scripted("b"))
    answers = await asyncio.gather(*(answer(both) for _ in range(50)))
    assert answers == ["sim"] * 50
    # Fifty were on their way when it opened; of the retries, the breaker let none through.
    assert both.calls[0] == 50
