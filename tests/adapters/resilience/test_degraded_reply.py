"""A canned sentence in place of an answer."""

import asyncio

import pytest

from prosa.adapters.resilience.degraded_reply import DegradingLanguageModel
from prosa.application.ports.language_model import (
    ContentFiltered,
    ContextTooLong,
    LanguageModelError,
    ModelMisconfigured,
    ModelRejectedRequest,
    ModelUnavailable,
)
from prosa.domain.content import text_of
from prosa.domain.reply import FinishReason, TokenUsage
from prosa.testing.virtual_time import timer
from tests.adapters.resilience.models import DOWN, HANG, Listener, Scripted, asked, chain, says

SORRY = "Desculpe. Tente de novo mais tarde."


def degrading(*models: Scripted) -> DegradingLanguageModel:
    return DegradingLanguageModel(chain(*models).model, SORRY)


async def test_a_model_that_answers_is_left_alone() -> None:
    reply = await degrading(Scripted("a", "Olá")).generate(asked())
    assert text_of(reply.parts) == "Olá"
    assert not reply.degraded


@pytest.mark.parametrize("error", [DOWN, ModelMisconfigured("wrong key")])
async def test_where_every_model_is_down_the_sentence_answers(error: LanguageModelError) -> None:
    model = degrading(Scripted("a", default=error), Scripted("b", default=error))
    for _ in range(9):
        reply = await model.generate(asked())
        assert text_of(reply.parts) == SORRY
        assert reply.degraded
        assert reply.finish_reason is FinishReason.STOP
        assert (reply.provider, reply.usage) == ("prosa", TokenUsage())


async def test_where_all_stall_it_answers_before_the_caller_gives_up() -> None:
    model = degrading(Scripted("a", default=HANG), Scripted("b", default=HANG))
    async with asyncio.timeout(20):
        reply = await model.generate(asked(seconds=20))
    assert reply.degraded
    assert timer() < 20


async def test_a_listener_hears_the_sentence() -> None:
    listener = Listener()
    reply = await degrading(Scripted("a", default=DOWN)).generate(asked(), listener)
    assert listener.text == text_of(reply.parts) == SORRY


async def test_behind_a_models_own_words_there_is_no_sentence() -> None:
    listener = Listener()
    with pytest.raises(ModelUnavailable):
        await degrading(Scripted("a", says("Bom dia, Ana", cut_after=7))).generate(
            asked(), listener
        )
    assert listener.text == "Bom dia"


@pytest.mark.parametrize(
    "error",
    [ContextTooLong("too long"), ContentFiltered("filtered"), ModelRejectedRequest("refused")],
)
async def test_what_is_the_conversations_fault_still_fails(error: LanguageModelError) -> None:
    with pytest.raises(type(error)):
        await degrading(Scripted("a", default=error)).generate(asked())


async def test_it_goes_by_its_models_name_and_figures() -> None:
    model = degrading(Scripted("a", context_tokens=77, alternating=True))
    assert (model.name, model.context_tokens, model.needs_alternating_roles) == ("a", 77, True)
