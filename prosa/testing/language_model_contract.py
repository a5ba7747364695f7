"""What every language model promises, as tests that any adapter can run.

Subclass the contract in a test module and give a fixture `model`; with pytest-asyncio in its mode
`auto`, pytest does the rest:

    class TestMyModel(LanguageModelContract):
        @pytest.fixture
        def model(self) -> LanguageModel:
            return MyModel()

The model must answer a greeting with words, and with JSON where JSON is asked for.
"""

import asyncio
import json
import traceback
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import pytest

from prosa.application.ports.language_model import (
    AnswerFormat,
    CallBudget,
    LanguageModel,
    ModelRequest,
    ModelTimedOut,
    ModelUnavailable,
)
from prosa.domain.content import Part, Text, ToolCall, ToolResult, text_of
from prosa.domain.identifiers import DEFAULT_TENANT
from prosa.domain.message import Role, Utterance
from prosa.domain.reply import FinishReason

GREETING = "Say hello to Ana in one short sentence."

YES_OR_NO = AnswerFormat(
    name="yes_or_no",
    schema=json.dumps(
        {
            "type": "object",
            "properties": {"answer": {"type": "string", "enum": ["yes", "no"]}},
            "required": ["answer"],
            "additionalProperties": False,
        }
    ),
)

SOON = 5.0
"""Seconds within which something is over that should be over at once, on a busy machine."""


def said(role: Role, *parts: Part | str) -> Utterance:
    """Make an utterance; a plain `str` is words."""
    return Utterance(
        role=role,
        parts=tuple(Text(text=part) if isinstance(part, str) else part for part in parts),
    )


def model_request(
    *utterances: Utterance,
    seconds: float = 60.0,
    max_output_tokens: int = 8,
    budget: CallBudget | None = None,
    answer_format: AnswerFormat | None = None,
) -> ModelRequest:
    """Make a request that is due in `seconds`; without utterances it asks for a greeting."""
    return ModelRequest(
        tenant_id=DEFAULT_TENANT,
        instructions="You are a friendly assistant. Answer briefly.",
        utterances=utterances or (said(Role.USER, GREETING),),
        deadline=datetime.now(UTC) + timedelta(seconds=seconds),
        max_output_tokens=max_output_tokens,
        temperature=0.0,
        budget=budget or CallBudget(),
        answer_format=answer_format,
    )


class Listener:
    """Keeps what it hears; `stuck`, it takes the first piece and does not return."""

    def __init__(self, *, stuck: bool = False) -> None:
        self.pieces: list[str] = []
        self.heard = asyncio.Event()
        self._stuck = stuck

    async def __call__(self, text: str) -> None:
        """Hear a piece."""
        self.pieces.append(text)
        self.heard.set()
        if self._stuck:
            await asyncio.Event().wait()


class ListenerGone(Exception):
    """The one who listens has a fault of its own."""


def long_conversation(exchanges: int) -> Sequence[Utterance]:
    """Make a conversation of many short exchanges that ends with a question."""
    exchange = (said(Role.USER, "Hi."), said(Role.ASSISTANT, "Hello."))
    return (*exchange * exchanges, said(Role.USER, GREETING))


class LanguageModelContract:
    """The clauses. Subclasses give the fixture `model`."""

    exchanges = 8
    """How many exchanges a long conversation has: so many that it still fits."""

    async def test_it_says_who_it_is(self, model: LanguageModel) -> None:
        """Name and context are known before the first call."""
        assert model.name
        assert model.context_tokens > 0
        assert model.needs_alternating_roles in {True, False}

    async def test_an_answer_has_words_and_a_finish_reason(self, model: LanguageModel) -> None:
        """A plain call brings a whole reply."""
        reply = await model.generate(model_request())
        assert text_of(reply.parts).strip()
        assert reply.finish_reason in {FinishReason.STOP, FinishReason.LENGTH}
        assert reply.provider
        assert reply.model
        assert not reply.degraded

    async def test_the_pieces_joined_are_the_reply(self, model: LanguageModel) -> None:
        """A streamed call brings the same, and its text on the way."""
        listener = Listener()
        reply = await model.generate(model_request(), listener)
        assert listener.pieces
        assert all(listener.pieces)
        assert "".join(listener.pieces) == text_of(reply.parts)
        assert reply.finish_reason in {FinishReason.STOP, FinishReason.LENGTH}

    @pytest.mark.parametrize("streamed", [False, True])
    async def test_usage_is_counted(self, model: LanguageModel, *, streamed: bool) -> None:
        """Tokens are counted, streamed or not."""
        reply = await model.generate(model_request(), Listener() if streamed else None)
        assert reply.usage.input_tokens > 0
        assert reply.usage.output_tokens > 0
        assert 0 <= reply.usage.cached_input_tokens <= reply.usage.input_tokens

    async def test_an_answer_takes_one_call_of_the_budget(self, model: LanguageModel) -> None:
        """One request to a provider is one call."""
        budget = CallBudget(3)
        await model.generate(model_request(budget=budget))
        assert budget.remaining == 2

    async def test_a_spent_budget_allows_no_call(self, model: LanguageModel) -> None:
        """Whoever has made all their calls gets no answer."""
        with pytest.raises(ModelUnavailable):
            await model.generate(model_request(budget=CallBudget(0)))

    async def test_a_deadline_that_has_passed_is_a_timeout_at_once(
        self, model: LanguageModel
    ) -> None:
        """Nothing is sent that cannot be answered in time."""
        request = model_request(seconds=-1.0)
        async with asyncio.timeout(SOON):
            with pytest.raises(ModelTimedOut):
                await model.generate(request)
        assert request.budget.remaining == CallBudget().remaining

    async def test_the_deadline_ends_an_answer_on_its_way(self, model: LanguageModel) -> None:
        """The whole call is bounded, its stream and whoever listens to it included."""
        await model.generate(model_request())
        request = model_request(seconds=0.3)
        async with asyncio.timeout(SOON):
            with pytest.raises(ModelTimedOut):
                await model.generate(request, Listener(stuck=True))

    async def test_a_cancelled_call_ends_soon_and_the_next_one_is_answered(
        self, model: LanguageModel
    ) -> None:
        """Cancellation is passed on as what it is, and breaks nothing."""
        listener = Listener(stuck=True)
        call = asyncio.create_task(model.generate(model_request(), listener))
        await listener.heard.wait()
        call.cancel()
        async with asyncio.timeout(SOON):
            with pytest.raises(asyncio.CancelledError):
                await call
        assert (await model.generate(model_request())).parts

    async def test_an_error_of_the_listener_stays_what_it_is(self, model: LanguageModel) -> None:
        """What `on_text` raises is no failure of the model."""

        async def broken(_: str) -> None:
            raise ListenerGone

        with pytest.raises(ListenerGone):
            await model.generate(model_request(), broken)
        assert (await model.generate(model_request())).parts

    async def test_calls_at_the_same_time_are_all_answered(self, model: LanguageModel) -> None:
        """One model serves many conversations at once."""
        listeners = [Listener() for _ in range(4)]
        calls = [model.generate(model_request(), listener) for listener in listeners]
        replies = await asyncio.gather(*calls)
        assert ["".join(listener.pieces) for listener in listeners] == [
            text_of(reply.parts) for reply in replies
        ]

    async def test_an_answer_format_is_kept(self, model: LanguageModel) -> None:
        """Asked for JSON of a shape, it answers JSON of that shape."""
        question = said(Role.USER, "Is the sky blue? Answer yes or no, as JSON.")
        request = model_request(question, max_output_tokens=64, answer_format=YES_OR_NO)
        answer = json.loads(text_of((await model.generate(request)).parts))
        assert set(answer) == {"answer"}
        assert answer["answer"] in {"yes", "no"}

    async def test_a_long_conversation_is_answered(self, model: LanguageModel) -> None:
        """Many messages are as good as one."""
        request = model_request(*long_conversation(self.exchanges))
        assert text_of((await model.generate(request)).parts).strip()

    async def test_tool_calls_and_their_results_may_stand_in_the_conversation(
        self, model: LanguageModel
    ) -> None:
        """A conversation in which tools were used goes on."""
        call = ToolCall(id="call_1", name="find_order", arguments='{"number": 7}')
        conversation = (
            said(Role.USER, "Where is my order 7?"),
            said(Role.ASSISTANT, call),
            said(Role.TOOL, ToolResult(call_id="call_1", content="It arrives today.")),
        )
        assert (await model.generate(model_request(*conversation))).parts

    async def test_a_failure_does_not_repeat_what_was_said(self, model: LanguageModel) -> None:
        """Errors are logged, with their causes: they never hold the customer's words."""
        secret = said(Role.USER, "My password is xyzzy-12345.")
        with pytest.raises(ModelTimedOut) as failure:
            await model.generate(model_request(secret, seconds=0.3), Listener(stuck=True))
        assert "xyzzy" not in "".join(traceback.format_exception(failure.value))
