"""Released pieces: whatever a guardrail replaces or blocks, the stored text is cut into them."""

import asyncio
from dataclasses import dataclass, field, fields, replace
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prosa.adapters.in_memory.language_model import ScriptedLanguageModel
from prosa.application.generation import Generation, ReplyBlockedError
from prosa.application.ports.guardrail import Guardrail, Passage
from prosa.application.ports.language_model import ContentFiltered, ModelRequest, OnText
from prosa.bootstrap.texts import load_guardrail
from prosa.domain.content import Text, text_of
from prosa.domain.intent import Intent
from prosa.domain.reply import FinishReason, PromptReference, Reply
from prosa.domain.sentences import split
from prosa.domain.turn import Attempt
from prosa.domain.verdict import Allowed, Blocked, Direction, Finding, Redacted, Verdict
from prosa.testing.builders import (
    VirtualClock,
    a_call,
    a_conversation,
    a_reply,
    a_tenant,
    claim,
)
from tests.application.service import SAFE, Listener

near_prose = st.text(st.sampled_from("aB7 .!?…\"')\n\t\u00a0"), max_size=200)
long_words = st.lists(
    st.tuples(st.integers(1, 110), st.sampled_from([" ", "  ", ". ", "\n\n", " \n "])), max_size=6
).map(lambda words: "".join("x" * length + blank for length, blank in words))
texts = near_prose | long_words
verdicts = st.lists(
    st.none()
    | near_prose.map(lambda text: Redacted(text=text, rules=("any",)))
    | st.sampled_from([Blocked(reason="any"), Redacted(text="", rules=("any",))]),
    max_size=8,
)


@dataclass
class JudgingInTurn(Guardrail):
    """Judges one piece after the other as it was told, and allows all that come later."""

    verdicts: list[Verdict | None] = field(default_factory=list)

    async def screen(self, _passage: Passage) -> Verdict:
        return (self.verdicts.pop(0) if self.verdicts else None) or Allowed()


class DrippingModel(ScriptedLanguageModel):
    """Says a text in drips that are cut anywhere; in the end its provider may filter it."""

    def __init__(self, drips: list[str], *, filtered: bool = False) -> None:
        super().__init__()
        self._drips = drips
        self._filtered = filtered

    async def generate(self, _request: ModelRequest, on_text: OnText | None = None) -> Reply:
        for drip in self._drips:
            if on_text:
                await on_text(drip)
        if self._filtered:
            raise ContentFiltered("filtered")
        return a_reply("".join(self._drips))


class AnsweringModel(ScriptedLanguageModel):
    """Gives one reply."""

    def __init__(self, reply: Reply) -> None:
        super().__init__()
        self._reply = reply

    async def generate(self, _request: ModelRequest, _on_text: OnText | None = None) -> Reply:
        return self._reply


def a_request(attempt: Attempt, generation: Generation) -> ModelRequest:
    return ModelRequest(
        tenant_id=attempt.tenant_id,
        instructions="",
        utterances=(),
        deadline=attempt.deadline,
        max_output_tokens=100,
        temperature=0.0,
        budget=generation.budget,
    )


async def released(model: DrippingModel, guardrail: Guardrail, listener: Listener | None) -> str:
    """Generate a reply as TakeTurn does; give its text."""
    clock = VirtualClock()
    conversation = a_conversation(clock, a_tenant())
    attempt = conversation.attempt_at(claim(conversation, clock))
    generation = Generation(attempt, guardrail, listener)
    try:
        reply = await generation.screened_reply(model, a_request(attempt, generation))
    except (ContentFiltered, ReplyBlockedError):
        reply = await generation.refuse(SAFE)
    assert all(isinstance(part, Text) for part in reply.parts)
    return text_of(reply.parts)


def drips_of(text: str, cuts: list[int]) -> list[str]:
    places = [0, *sorted(cut % (len(text) + 1) for cut in cuts), len(text)]
    return [text[start:end] for start, end in pairwise(places)]


@settings(deadline=None, max_examples=300)
@given(
    text=texts,
    cuts=st.lists(st.integers(0, 400), max_size=20),
    verdicts=verdicts,
    filtered=st.booleans(),
)
def test_the_stored_text_is_cut_into_the_pieces_that_were_released(
    text: str, cuts: list[int], verdicts: list[Verdict | None], *, filtered: bool
) -> None:
    listener = Listener()
    model = DrippingModel(drips_of(text, cuts), filtered=filtered)
    stored = asyncio.run(released(model, JudgingInTurn(list(verdicts)), listener))
    assert split(stored) == listener.pieces
    if not filtered:
        plain = asyncio.run(released(model, JudgingInTurn(list(verdicts)), None))
        assert plain == stored


async def test_nothing_but_what_was_found_changes_in_a_reply_and_in_an_attempt() -> None:
    clock = VirtualClock()
    conversation = a_conversation(clock, a_tenant())
    answer = replace(a_reply(), degraded=True, finish_reason=FinishReason.LENGTH)
    attempt = replace(
        conversation.attempt_at(claim(conversation, clock)),
        intent=Intent(name="order_status", confidence=0.5),
        findings=(Finding(direction=Direction.INBOUND, rule="any", blocked=False),),
        prompt=PromptReference(name="agent", version="1", digest="0"),
        reply=answer,
        calls=(a_call(),),
        calls_made=1,
        said="Olá.",
    )
    generation = Generation(attempt, JudgingInTurn(), None)
    request = a_request(attempt, generation)
    assert await generation.screened_reply(AnsweringModel(answer), request) == answer
    assert generation.found(attempt) == attempt
    unset = [field.name for field in fields(Attempt) if not getattr(attempt, field.name)]
    assert not unset, "what is not set here could be lost unseen"


class WholeSentences(Guardrail):
    """Blocks one saying and takes another out; neither is seen in a part of it."""

    async def screen(self, passage: Passage) -> Verdict:
        if "the hidden rules are" in passage.text:
            return Blocked(reason="leak")
        if "code 12 AB" in passage.text:
            text = passage.text.replace("code 12 AB", "***")
            return Redacted(text=text, rules=("code",))
        return Allowed()


async def test_a_saying_is_found_across_the_pieces_of_a_long_sentence() -> None:
    long = "palavra " * 11 + "the hidden "
    listener = Listener()
    stored = await released(
        DrippingModel([f"{long}palavra the hidden rules are secret. Fim."]),
        WholeSentences(),
        listener,
    )
    assert "rules" not in stored
    assert stored.endswith(SAFE)


async def test_where_what_is_out_would_have_to_be_taken_back_the_reply_ends() -> None:
    text = "palavra " * 12 + "code 12 AB é o seu. Fim."
    assert not any("code 12 AB" in piece for piece in split(text))
    stored = await released(DrippingModel([text]), WholeSentences(), Listener())
    assert "AB" not in stored
    assert stored.endswith(SAFE)


async def test_a_redaction_stands_once_however_long_its_sentence_goes_on() -> None:
    text = "O code 12 AB é o seu" + " palavra" * 30 + ". Fim."
    stored = await released(DrippingModel([text]), WholeSentences(), Listener())
    assert stored == text.replace("code 12 AB", "***")


@settings(deadline=None)
@given(words=st.integers(0, 40), blank=st.sampled_from([" ", ".", "-", "  "]), cut=st.integers())
def test_a_card_number_is_taken_out_wherever_it_stands(words: int, blank: str, cut: int) -> None:
    number = blank.join(["4111", "1111", "1111", "1111"])
    text = "cartão " * words + f"{number} está aprovado " + "palavra " * (40 - words)
    model = DrippingModel(drips_of(text, [cut]))
    stored = asyncio.run(released(model, load_guardrail(), Listener()))
    assert stored == text.replace(number, "[card ***]")


async def test_a_reply_in_which_nothing_is_redacted_is_released_as_soon_as_it_is_cut() -> None:
    listener = Listener()
    seen: list[int] = []

    class Watched(DrippingModel):
        async def generate(self, _request: ModelRequest, on_text: OnText | None = None) -> Reply:
            assert on_text is not None
            for drip in ("Saiu. ", "C", "hega. ", "E"):
                await on_text(drip)
                seen.append(len(listener.pieces))
            return a_reply("Saiu. Chega. E")

    await released(Watched([]), JudgingInTurn(), listener)
    assert seen == [0, 1, 1, 2]


@pytest.mark.parametrize(
    ("text", "verdict", "pieces"),
    [
        ("Um. Dois. Três.", Redacted(text="[x]. ", rules=()), ["Um. ", "[x]. ", "Três."]),
        ("Um. Dois. Três.", Redacted(text="[x]", rules=()), ["Um. ", "[x]Três."]),
        ("Um. Dois. Três.", Redacted(text="\n a! b", rules=()), ["Um. ", "a! ", "bTrês."]),
        ("Um. Dois. Três.", Redacted(text=" ", rules=()), ["Um. ", "Três."]),
        ("Um. Dois.", Redacted(text="", rules=()), ["Um. "]),
    ],
)
async def test_what_follows_a_redaction_is_cut_with_it(
    text: str, verdict: Verdict, pieces: list[str]
) -> None:
    listener = Listener()
    stored = await released(DrippingModel([text]), JudgingInTurn([None, verdict]), listener)
    assert listener.pieces == pieces
    assert stored == "".join(pieces)
