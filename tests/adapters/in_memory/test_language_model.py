"""The scripted model does what it is told: nothing else would make it a useful stand-in."""

import asyncio

import pytest

from prosa.adapters.in_memory.language_model import (
    DEFAULT_REPLY,
    Hang,
    ScriptedLanguageModel,
    ScriptedReply,
)
from prosa.application.ports.language_model import (
    ModelRateLimited,
    ModelRequest,
    ModelTimedOut,
    ModelUnavailable,
)
from prosa.domain.content import Text, ToolCall, text_of
from prosa.domain.reply import FinishReason, TokenUsage
from prosa.testing.language_model_contract import Listener, model_request


async def test_it_follows_its_script_and_then_says_the_same_for_ever() -> None:
    model = ScriptedLanguageModel(["One.", "Two."], default="Three.")
    said = [text_of((await model.generate(model_request())).parts) for _ in range(4)]
    assert said == ["One.", "Two.", "Three.", "Three."]


async def test_without_a_script_it_says_that_it_is_scripted() -> None:
    reply = await ScriptedLanguageModel().generate(model_request())
    assert text_of(reply.parts) == DEFAULT_REPLY
    assert (reply.provider, reply.model) == ("scripted", "scripted")


async def test_it_keeps_what_it_was_asked() -> None:
    model = ScriptedLanguageModel()
    requests = [model_request(), model_request()]
    for request in requests:
        await model.generate(request)
    assert model.requests == requests


async def test_a_whole_reply_may_be_scripted() -> None:
    parts = (Text(text="One moment."), ToolCall(id="a", name="find_order", arguments="{}"))
    usage = TokenUsage(input_tokens=7, output_tokens=3, cached_input_tokens=2)
    scripted = ScriptedReply(parts=parts, finish_reason=FinishReason.TOOL_CALLS, usage=usage)
    reply = await ScriptedLanguageModel([scripted]).generate(model_request())
    assert (reply.parts, reply.finish_reason, reply.usage) == (
        parts,
        FinishReason.TOOL_CALLS,
        usage,
    )


async def test_an_answer_may_depend_on_the_request() -> None:
    def echo(request: ModelRequest) -> str:
        return text_of(request.utterances[-1].parts)

    reply = await ScriptedLanguageModel(default=echo).generate(model_request())
    assert text_of(reply.parts).startswith("Say hello")


async def test_pieces_are_words_with_the_blanks_before_them() -> None:
    listener = Listener()
    await ScriptedLanguageModel(["Olá,  Ana!\nTudo bem? "]).generate(model_request(), listener)
    assert listener.pieces == ["Olá,", "  Ana!", "\nTudo", " bem?", " "]


async def test_it_fails_as_it_is_told() -> None:
    model = ScriptedLanguageModel([ModelRateLimited("slow down", retry_after=2.0)])
    with pytest.raises(ModelRateLimited) as failure:
        await model.generate(model_request())
    assert failure.value.retry_after == 2.0
    assert len(model.requests) == 1


@pytest.mark.parametrize("characters", [0, 7])
async def test_it_breaks_off_after_some_characters(characters: int) -> None:
    cut = ScriptedReply(parts=(Text(text="Olá, Ana, tudo bem?"),), cut_after=characters)
    listener = Listener()
    with pytest.raises(ModelUnavailable):
        await ScriptedLanguageModel([cut]).generate(model_request(), listener)
    assert "".join(listener.pieces) == "Olá, Ana, tudo bem?"[:characters]


async def test_it_breaks_off_for_one_who_does_not_listen_too() -> None:
    cut = ScriptedReply(parts=(Text(text="Olá"),), cut_after=2)
    with pytest.raises(ModelUnavailable):
        await ScriptedLanguageModel([cut]).generate(model_request())


async def test_it_takes_its_time_by_the_clock_it_was_given() -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    slow = ScriptedReply(parts=(Text(text="Olá"),), latency=9.0)
    await ScriptedLanguageModel([slow], sleep=sleep).generate(model_request())
    assert slept == [9.0]


async def test_hanging_it_waits_for_the_deadline() -> None:
    with pytest.raises(ModelTimedOut):
        await ScriptedLanguageModel([Hang()]).generate(model_request(seconds=0.05))


async def test_a_timeout_of_the_listeners_own_is_not_the_models() -> None:
    async def impatient(_: str) -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        await ScriptedLanguageModel().generate(model_request(), impatient)


async def test_hanging_it_can_be_cancelled() -> None:
    model = ScriptedLanguageModel([Hang()])
    call = asyncio.create_task(model.generate(model_request()))
    await asyncio.sleep(0)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert (await model.generate(model_request())).parts


def test_it_may_be_a_model_of_any_kind() -> None:
    model = ScriptedLanguageModel(context_tokens=9, needs_alternating_roles=True)
    assert (model.name, model.context_tokens) == ("scripted", 9)
    assert model.needs_alternating_roles
