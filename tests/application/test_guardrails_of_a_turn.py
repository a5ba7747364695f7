"""Guardrails: what may not pass is neither stored, nor shown to a model, nor said."""

import asyncio

import pytest

from prosa.adapters.in_memory.guardrail import BLOCKED, REDACTED, ScriptedGuardrail
from prosa.application.ports.guardrail import GuardrailError, Passage
from prosa.application.ports.language_model import ContentFiltered, ModelUnavailable
from prosa.application.turn_policy import TurnPolicy
from prosa.domain.errors import KeyReused
from prosa.domain.reply import FinishReason, TokenUsage
from prosa.domain.sentences import split
from prosa.domain.turn import TurnStatus
from prosa.domain.verdict import Direction, Finding, Verdict
from tests.application.service import (
    KEY,
    PROMPT,
    SAFE,
    Listener,
    Service,
    a_message,
    shown_in,
)

CARD = "4111 1111 1111 1111"


def finding(direction: Direction, rule: str) -> Finding:
    return Finding(direction=direction, rule=rule, blocked=rule == BLOCKED)


# On the way in


async def test_a_blocked_message_is_answered_by_a_safe_sentence_and_no_model() -> None:
    service = Service(guardrail=ScriptedGuardrail(blocks=["bomba"]))
    outcome = await service.take_turn(a_message("uma bomba"))
    turn = outcome.turn
    assert (turn.status, outcome.replayed) == (TurnStatus.COMPLETED, False)
    assert turn.reply is not None
    assert turn.reply.text == SAFE
    assert turn.reply.provenance is not None
    assert turn.reply.provenance.finish_reason is FinishReason.CONTENT_FILTER
    assert turn.reply.provenance.provider == "prosa"
    assert turn.reply.provenance.prompt is None
    assert service.model.requests == []
    assert service.classifier.requests == []
    assert service.state.attempts[turn.id, 1].findings == (finding(Direction.INBOUND, BLOCKED),)


async def test_a_blocked_message_takes_one_commit() -> None:
    service = Service(guardrail=ScriptedGuardrail(blocks=["bomba"]))
    turn = (await service.take_turn(a_message("bomba"))).turn
    assert service.state.headers[turn.conversation_id].version == 1
    assert service.event_names() == ["ConversationStarted", "TurnStarted", "TurnCompleted"]


async def test_a_blocked_message_is_never_shown_to_a_later_call() -> None:
    service = Service("Olá!", guardrail=ScriptedGuardrail(blocks=["bomba"]))
    conversation = await service.a_conversation()
    await service.take_turn(a_message("Oi", to=conversation))
    await service.take_turn(a_message("uma bomba", to=conversation))
    await service.take_turn(a_message("Cadê?", to=conversation))
    assert shown_in(service.model.requests[-1]) == ["Oi", "Olá!", "Cadê?"]
    assert service.texts(conversation)[2:4] == ["uma bomba", SAFE]


async def test_a_redacted_message_is_stored_redacted_and_the_original_nowhere() -> None:
    service = Service(guardrail=ScriptedGuardrail(redacts={CARD: "[card]"}))
    turn = (await service.take_turn(a_message(f"meu cartão é {CARD}", key=KEY))).turn
    assert turn.message.text == "meu cartão é [card]"
    assert CARD not in repr(service.state)
    assert CARD not in repr(service.model.requests)
    assert CARD not in repr(service.classifier.requests)
    assert service.state.attempts[turn.id, 1].findings == (finding(Direction.INBOUND, REDACTED),)


async def test_what_cannot_be_judged_is_not_accepted() -> None:
    service = Service(guardrail=ScriptedGuardrail(fails_on=["Oi"]))
    with pytest.raises(GuardrailError):
        await service.take_turn(a_message("Oi", key=KEY))
    assert service.state.turns == {}
    assert service.state.requests == {}


class AwayGuardrail(ScriptedGuardrail):
    """Cannot be reached while `away` says why; with a future there it hangs."""

    away: Exception | asyncio.Future[None] | None = None

    async def screen(self, passage: Passage) -> Verdict:
        """Judge, if it can be reached."""
        if isinstance(self.away, Exception):
            raise self.away
        if self.away is not None:
            await self.away
        return await super().screen(passage)


async def test_a_guardrail_that_hangs_holds_no_answer_past_the_deadline() -> None:
    guardrail = AwayGuardrail()
    guardrail.away = asyncio.get_running_loop().create_future()
    service = Service(guardrail=guardrail, policy=TurnPolicy(deadline_seconds=0.05))
    async with asyncio.timeout(30):
        with pytest.raises(GuardrailError, match="no verdict by the deadline"):
            await service.take_turn(a_message(key=KEY))
    assert service.state.turns == {}


async def test_somebody_elses_timeout_is_not_the_guardrails() -> None:
    guardrail = AwayGuardrail()
    guardrail.away = TimeoutError()
    with pytest.raises(TimeoutError):
        await Service(guardrail=guardrail).take_turn(a_message())


async def test_while_the_guardrail_is_away_a_completed_turn_is_found_by_its_key() -> None:
    guardrail = AwayGuardrail()
    service = Service(guardrail=guardrail)
    first = await service.take_turn(a_message(key=KEY))
    guardrail.away = GuardrailError("away")
    again = await service.take_turn(a_message(key=KEY))
    assert (again.turn, again.replayed) == (first.turn, True)
    with pytest.raises(KeyReused):
        await service.take_turn(a_message("Outra coisa", key=KEY))
    for key in (None, "another"):
        with pytest.raises(GuardrailError):
            await service.take_turn(a_message(key=key))
    assert len(service.state.turns) == 1


async def test_while_the_guardrail_is_away_a_turn_that_failed_is_not_run_again() -> None:
    guardrail = AwayGuardrail()
    service = Service(ModelUnavailable("down"), guardrail=guardrail)
    with pytest.raises(ModelUnavailable):
        await service.take_turn(a_message(key=KEY))
    guardrail.away = GuardrailError("away")
    with pytest.raises(GuardrailError):
        await service.take_turn(a_message(key=KEY))
    guardrail.away = None
    assert (await service.take_turn(a_message(key=KEY))).turn.attempt == 2


# On the way out


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_reply_is_judged_piece_by_piece_streamed_or_not(*, streamed: bool) -> None:
    service = Service("Olá! Tudo bem? Saiu hoje.")
    await service.take_turn(a_message("Oi"), Listener() if streamed else None)
    judged = [(passage.direction, passage.text) for passage in service.guardrail.passages]
    assert judged == [
        (Direction.INBOUND, "Oi"),
        (Direction.OUTBOUND, "Olá! "),
        (Direction.OUTBOUND, "Tudo bem? "),
        (Direction.OUTBOUND, "Saiu hoje."),
    ]


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_piece_that_is_blocked_ends_the_reply_with_the_safe_sentence(
    *, streamed: bool
) -> None:
    service = Service(
        "Olá! A senha é 123. Mais alguma coisa?", guardrail=ScriptedGuardrail(blocks=["senha"])
    )
    listener = Listener()
    turn = (await service.take_turn(a_message(), listener if streamed else None)).turn
    assert turn.status is TurnStatus.COMPLETED
    assert turn.reply is not None
    assert turn.reply.text == f"Olá! {SAFE}"
    assert turn.reply.provenance is not None
    assert turn.reply.provenance.finish_reason is FinishReason.CONTENT_FILTER
    assert turn.reply.provenance.usage == TokenUsage()
    assert turn.reply.provenance.prompt == PROMPT.reference
    assert "senha" not in repr(service.state)
    assert listener.pieces == (["Olá! ", *split(SAFE)] if streamed else [])
    assert "Mais" not in repr(service.guardrail.passages)
    assert service.state.attempts[turn.id, 1].findings == (finding(Direction.OUTBOUND, BLOCKED),)


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_reply_whose_last_piece_is_blocked_ends_with_the_safe_sentence(
    *, streamed: bool
) -> None:
    service = Service("Olá! A senha", guardrail=ScriptedGuardrail(blocks=["senha"]))
    turn = (await service.take_turn(a_message(), Listener() if streamed else None)).turn
    assert turn.reply is not None
    assert turn.reply.text == f"Olá! {SAFE}"


async def test_a_call_whose_answer_was_blocked_was_paid_for_and_is_kept() -> None:
    service = Service("A senha é 1.", guardrail=ScriptedGuardrail(blocks=["senha"]))
    turn = (await service.take_turn(a_message())).turn
    kept = service.state.attempts[turn.id, 1]
    assert (len(kept.calls), kept.calls_made) == (1, 1)


async def test_a_stream_that_was_blocked_midway_counts_as_a_call_that_was_made() -> None:
    service = Service("A senha é 1. Mais.", guardrail=ScriptedGuardrail(blocks=["senha"]))
    turn = (await service.take_turn(a_message(), Listener())).turn
    kept = service.state.attempts[turn.id, 1]
    assert (kept.calls, kept.calls_made) == ((), 1)


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_piece_that_is_redacted_is_said_and_stored_redacted(*, streamed: bool) -> None:
    service = Service(
        f"Olá! O cartão {CARD} foi aceito. Tchau.",
        guardrail=ScriptedGuardrail(redacts={CARD: "[card]"}),
    )
    listener = Listener()
    turn = (await service.take_turn(a_message(), listener if streamed else None)).turn
    assert turn.reply is not None
    assert turn.reply.text == "Olá! O cartão [card] foi aceito. Tchau."
    assert turn.reply.provenance is not None
    assert turn.reply.provenance.finish_reason is FinishReason.STOP
    assert CARD not in repr(service.state)
    assert CARD not in "".join(listener.pieces)
    assert service.state.attempts[turn.id, 1].findings == (finding(Direction.OUTBOUND, REDACTED),)


async def test_findings_of_both_ways_are_kept_in_order() -> None:
    service = Service(f"O cartão {CARD}?", guardrail=ScriptedGuardrail(redacts={CARD: "[card]"}))
    turn = (await service.take_turn(a_message(CARD))).turn
    directions = [found.direction for found in service.state.attempts[turn.id, 1].findings]
    assert directions == [Direction.INBOUND, Direction.OUTBOUND]


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_piece_that_cannot_be_judged_is_not_said_and_the_turn_fails(
    *, streamed: bool
) -> None:
    service = Service("Olá! A senha é 1.", guardrail=ScriptedGuardrail(fails_on=["senha"]))
    listener = Listener()
    with pytest.raises(GuardrailError):
        await service.take_turn(a_message(), listener if streamed else None)
    (turn,) = service.state.turns.values()
    assert turn.status is TurnStatus.FAILED
    assert turn.error is not None
    assert (turn.error.code, turn.error.retryable) == ("guardrail_unavailable", True)
    assert "senha" not in repr(service.state) + "".join(listener.pieces)


# The provider's own filter


@pytest.mark.parametrize("streamed", [True, False])
async def test_what_the_providers_filter_refuses_is_a_completed_turn_with_a_safe_sentence(
    *, streamed: bool
) -> None:
    service = Service(ContentFiltered("policy"))
    listener = Listener()
    turn = (await service.take_turn(a_message(), listener if streamed else None)).turn
    assert turn.status is TurnStatus.COMPLETED
    assert turn.reply is not None
    assert turn.reply.text == SAFE
    assert turn.reply.provenance is not None
    assert turn.reply.provenance.finish_reason is FinishReason.CONTENT_FILTER
    assert turn.reply.provenance.prompt == PROMPT.reference
    assert listener.pieces == (split(SAFE) if streamed else [])
    assert service.state.attempts[turn.id, 1].calls_made == 1


async def test_a_redaction_is_found_again_when_the_turn_runs_again() -> None:
    service = Service(
        ModelUnavailable("down"), guardrail=ScriptedGuardrail(redacts={"senha: x": "senha: ***"})
    )
    message = a_message("senha: x", key=KEY)
    with pytest.raises(ModelUnavailable):
        await service.take_turn(message)
    await service.take_turn(message)
    first, second = service.state.attempts.values()
    assert first.findings == second.findings != ()


async def test_a_refusal_is_released_in_the_pieces_that_its_stored_text_is_cut_into() -> None:
    pieces: list[str] = []

    async def hear(piece: str) -> None:
        pieces.append(piece)

    service = Service(ContentFiltered("no"))
    outcome = await service.take_turn(a_message(), hear)
    assert outcome.turn.reply is not None
    assert pieces == split(outcome.turn.reply.text)
