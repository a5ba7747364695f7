"""Failures: the turn says why it failed, the conversation is free, the error is told."""

import asyncio
import contextlib
from dataclasses import replace
from typing import NoReturn

import pytest

from prosa.adapters.in_memory.guardrail import ScriptedGuardrail
from prosa.adapters.in_memory.intent_classifier import ScriptedIntentClassifier
from prosa.adapters.in_memory.language_model import Hang, ScriptedLanguageModel, ScriptedReply
from prosa.adapters.in_memory.prompt_catalog import InMemoryPromptCatalog
from prosa.application.accept_turn import AcceptedTurn
from prosa.application.commit import TRIES
from prosa.application.ports.guardrail import GuardrailError
from prosa.application.ports.intent_classifier import Classification, ClassificationRequest
from prosa.application.ports.language_model import (
    CircuitOpen,
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
from prosa.application.ports.unit_of_work import (
    CommitUnknown,
    StorageUnavailable,
    VersionConflict,
)
from prosa.application.start_conversation import NewConversation
from prosa.application.turn_policy import TurnPolicy
from prosa.domain.content import Text
from prosa.domain.errors import (
    ConfigurationError,
    DeadlineExceeded,
    PromptNotFound,
    TurnFailed,
)
from prosa.domain.prompt import PromptTemplate
from prosa.domain.reply import Reply
from prosa.domain.sentences import split
from prosa.domain.turn import MAX_FAILURES, Turn, TurnError, TurnStatus
from tests.application.service import (
    INTENTS,
    KEY,
    REFUND,
    TENANT,
    Listener,
    Service,
    Trouble,
    a_message,
    lost,
)
from tests.waiting import until_idle

SOON = TurnPolicy(deadline_seconds=0.05)


def the_turn(service: Service) -> Turn:
    (turn,) = service.state.turns.values()
    return turn


async def error_of(service: Service) -> TurnError | None:
    """Say of what the one turn failed, and see that its conversation is free."""
    turn = the_turn(service)
    assert turn.status is TurnStatus.FAILED
    assert service.state.headers[turn.conversation_id].running_turn_id is None
    assert (await service.accept(a_message("Oi?", to=turn.conversation_id))).attempt is not None
    return turn.error


# Deadlines


@pytest.mark.parametrize("streamed", [True, False])
async def test_a_model_that_hangs_fails_the_turn_at_its_deadline(*, streamed: bool) -> None:
    service = Service(Hang(), policy=SOON)
    with pytest.raises(DeadlineExceeded) as late:
        await service.take_turn(a_message(), Listener() if streamed else None)
    assert late.value.turn_id == the_turn(service).id
    assert await error_of(service) == TurnError(code="deadline_exceeded", retryable=True)


async def test_a_model_that_says_it_timed_out_exceeded_the_deadline() -> None:
    service = Service(ModelTimedOut("slow"))
    with pytest.raises(DeadlineExceeded) as late:
        await service.take_turn(a_message())
    assert isinstance(late.value.__cause__, ModelTimedOut)
    assert await error_of(service) == TurnError(code="deadline_exceeded", retryable=True)


class SlowClassifier(ScriptedIntentClassifier):
    """Minds no deadline."""

    async def classify(self, request: ClassificationRequest) -> Classification:
        """Take far longer than there is time."""
        await asyncio.sleep(5)
        return await super().classify(request)


async def test_who_minds_no_deadline_is_interrupted_at_it() -> None:
    service = Service(classifier=SlowClassifier(INTENTS), policy=SOON)
    with pytest.raises(DeadlineExceeded):
        await service.take_turn(a_message())
    assert await error_of(service) == TurnError(code="deadline_exceeded", retryable=True)
    assert service.model.requests == []


async def test_an_attempt_that_comes_too_late_asks_no_model() -> None:
    service = Service()
    attempt = (await service.accept(a_message())).attempt
    assert attempt is not None
    service.clock.advance(26)
    with pytest.raises(DeadlineExceeded):
        await service.take_turn.run(attempt)
    assert service.model.requests == []


# What a model may fail of


@pytest.mark.parametrize(
    "error",
    [
        ModelUnavailable("down"),
        ModelRateLimited("slow down", retry_after=9.0),
        ModelReplyMalformed("empty"),
        ModelQuotaExhausted("no credit"),
        ModelMisconfigured("wrong key"),
    ],
    ids=lambda error: type(error).__name__,
)
async def test_a_model_that_gives_no_reply_is_unavailable_and_the_turn_may_run_again(
    error: LanguageModelError,
) -> None:
    service = Service(error)
    with pytest.raises(type(error)) as raised:
        await service.take_turn(a_message())
    assert raised.value is error
    assert await error_of(service) == TurnError(code="model_unavailable", retryable=True)


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (ContextTooLong("too long"), "context_too_long"),
        (ModelRejectedRequest("no"), "model_rejected"),
    ],
)
async def test_what_no_retry_would_repair_fails_the_turn_for_good(
    error: LanguageModelError, code: str
) -> None:
    service = Service(error)
    with pytest.raises(TurnFailed) as failed:
        await service.take_turn(a_message())
    assert failed.value.code == code
    assert failed.value.__cause__ is error
    assert await error_of(service) == TurnError(code=code, retryable=False)


async def test_a_model_that_was_not_asked_at_all_is_no_failure_that_counts() -> None:
    service = Service(always=CircuitOpen("resting", retry_after=30.0))
    for _ in range(MAX_FAILURES + 1):
        with pytest.raises(CircuitOpen):
            await service.take_turn(a_message(key=KEY))
    turn = the_turn(service)
    assert turn.error == TurnError(code="model_unavailable", retryable=True)
    assert (turn.attempt, turn.failures) == (MAX_FAILURES + 1, 0)


async def test_a_turn_may_be_failed_as_a_step_of_its_own() -> None:
    service = Service()
    attempt = (await service.accept(a_message())).attempt
    assert attempt is not None
    turn = await service.take_turn.fail(attempt, ModelUnavailable("down"))
    assert turn == the_turn(service)
    assert await error_of(service) == TurnError(code="model_unavailable", retryable=True)


# What should not happen


def broken(_: ModelRequest) -> NoReturn:
    raise ZeroDivisionError


async def test_a_bug_fails_the_turn_and_is_raised_as_it_is() -> None:
    service = Service(broken)
    with pytest.raises(ZeroDivisionError):
        await service.take_turn(a_message())
    assert await error_of(service) == TurnError(code="internal_error", retryable=True)


async def test_a_missing_prompt_fails_the_turn_and_may_be_repaired() -> None:
    service = Service(prompts=InMemoryPromptCatalog())
    with pytest.raises(PromptNotFound):
        await service.take_turn(a_message())
    assert await error_of(service) == TurnError(code="internal_error", retryable=True)


async def test_a_half_filled_prompt_is_never_sent() -> None:
    template = PromptTemplate(name="support_agent", version="1", text="For {{ company }}.")
    service = Service(prompts=InMemoryPromptCatalog([template]))
    with pytest.raises(ConfigurationError):
        await service.take_turn(a_message())
    assert service.model.requests == []
    assert await error_of(service) == TurnError(code="internal_error", retryable=True)


async def test_what_a_failed_attempt_found_first_is_kept() -> None:
    classifier = ScriptedIntentClassifier(INTENTS, {"Cadê meu pedido?": REFUND})
    service = Service(ModelUnavailable("down"), classifier=classifier)
    with pytest.raises(ModelUnavailable):
        await service.take_turn(a_message())
    kept = service.state.attempts[the_turn(service).id, 1]
    assert (kept.intent, kept.reply, kept.said) == (REFUND, None, "")


# Broken streams


async def test_what_was_said_before_a_stream_broke_is_kept_but_not_as_a_message() -> None:
    cut = ScriptedReply(parts=(Text(text="Olá! Seu pedido saiu hoje."),), cut_after=12)
    service = Service(cut)
    listener = Listener()
    with pytest.raises(ModelUnavailable):
        await service.take_turn(a_message(), listener)
    turn = the_turn(service)
    assert listener.pieces == ["Olá! "]
    assert service.state.attempts[turn.id, 1].said == "Olá! "
    assert service.texts(turn.conversation_id) == ["Cadê meu pedido?"]


async def test_what_nobody_was_shown_was_not_said() -> None:
    cut = ScriptedReply(parts=(Text(text="Olá! Seu pedido saiu hoje."),), cut_after=12)
    service = Service(cut)
    with pytest.raises(ModelUnavailable):
        await service.take_turn(a_message())
    assert service.state.attempts[the_turn(service).id, 1].said == ""


async def test_who_listens_may_fail_and_the_turn_may_run_again() -> None:
    service = Service("Olá! Tudo bem?")
    with pytest.raises(ConnectionResetError):
        await service.take_turn(a_message(), Listener(fails_at=1))
    assert await error_of(service) == TurnError(code="internal_error", retryable=True)


async def test_a_listener_gets_the_pieces_as_they_come_and_they_are_the_stored_text() -> None:
    text = "Olá, Ana! Seu pedido saiu hoje.\nChega amanhã; " + "palavra " * 30 + "fim."
    streamed, plain = Service(text), Service(text)
    listener = Listener()
    turn = (await streamed.take_turn(a_message(), listener)).turn
    same = (await plain.take_turn(a_message())).turn
    assert turn.reply is not None
    assert same.reply is not None
    assert len(listener.pieces) > 4
    assert listener.pieces == split(text)
    assert "".join(listener.pieces) == turn.reply.text == same.reply.text == text


async def test_the_first_piece_is_shown_before_the_reply_is_whole() -> None:
    cut = ScriptedReply(parts=(Text(text="Olá! Tudo bem? Sim."),), cut_after=9)
    service = Service(cut)
    listener = Listener()
    with pytest.raises(ModelUnavailable):
        await service.take_turn(a_message(), listener)
    assert listener.pieces == ["Olá! "]


# Runs that are cancelled


async def a_run_cancelled(service: Service, on_piece: Listener | None = None) -> None:
    running = asyncio.create_task(service.take_turn(a_message(key=KEY), on_piece))
    await until_idle()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_a_cancelled_run_fails_its_turn_and_the_same_key_runs_it_again_at_once() -> None:
    service = Service(Hang(), always="Agora sim.")
    await a_run_cancelled(service)
    assert the_turn(service).error == TurnError(code="interrupted", retryable=True)
    assert (await service.take_turn(a_message(key=KEY))).turn.attempt == 2


class SlowEnd(ScriptedLanguageModel):
    """Says a sentence, and never ends."""

    async def generate(self, request: ModelRequest, on_text: OnText | None = None) -> Reply:
        """Say it."""
        request.budget.spend()
        assert on_text is not None
        await on_text("Olá! Se")
        never: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        return await never


async def test_what_a_cancelled_run_said_and_spent_is_kept() -> None:
    service = Service(model=SlowEnd())
    await a_run_cancelled(service, Listener())
    kept = service.state.attempts[the_turn(service).id, 1]
    assert (kept.said, kept.calls_made) == ("Olá! ", 1)


async def test_a_run_that_is_cancelled_twice_fails_its_turn_nevertheless() -> None:
    service = Service(Hang())
    running = asyncio.create_task(service.take_turn(a_message()))
    await until_idle()
    service.commits.append(Trouble(error=VersionConflict("somebody")))
    running.cancel()
    await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert the_turn(service).error == TurnError(code="interrupted", retryable=True)


async def test_a_run_that_is_cancelled_while_it_records_has_ended_its_turn() -> None:
    service = Service()
    service.commits.extend([None, Trouble(written=True)])
    await a_run_cancelled(service)
    turn = the_turn(service)
    assert (turn.status, turn.error) == (TurnStatus.COMPLETED, None)
    assert (await service.take_turn(a_message(key=KEY))).replayed


async def test_where_a_cancelled_run_cannot_fail_its_turn_it_ends_soon_all_the_same(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("prosa.application.take_turn.SECONDS_TO_GIVE_UP", 0.01)
    service = Service(Hang())
    service.commits.extend([None, Trouble()])
    await a_run_cancelled(service)
    assert the_turn(service).status is TurnStatus.RUNNING


# Storage that fails


async def test_where_even_failing_fails_the_first_error_is_told() -> None:
    service = Service(ModelUnavailable("down"))
    service.commits.extend([None, Trouble(error=StorageUnavailable("gone"))])
    with pytest.raises(ModelUnavailable):
        await service.take_turn(a_message())
    assert the_turn(service).status is TurnStatus.RUNNING
    service.clock.advance(30)
    conversation = the_turn(service).conversation_id
    assert (await service.accept(a_message("Oi?", to=conversation))).attempt is not None


async def test_a_claim_that_storage_lost_leaves_nothing() -> None:
    service = Service()
    service.commits.append(Trouble(error=StorageUnavailable("gone")))
    with pytest.raises(StorageUnavailable):
        await service.take_turn(a_message(key="key-1"))
    assert service.state.turns == {}
    assert service.model.requests == []


async def test_a_reply_that_was_recorded_after_all_is_found_by_reading() -> None:
    service = Service()
    service.commits.extend([None, Trouble(error=CommitUnknown("broken off"), written=True)])
    outcome = await service.take_turn(a_message())
    assert outcome.turn == the_turn(service)
    assert outcome.turn.status is TurnStatus.COMPLETED


async def test_a_failure_that_was_recorded_after_all_is_found_by_reading() -> None:
    service = Service()
    attempt = (await service.accept(a_message())).attempt
    assert attempt is not None
    service.commits.append(Trouble(error=CommitUnknown("broken off"), written=True))
    turn = await service.take_turn.fail(attempt, ModelUnavailable("down"))
    assert turn == the_turn(service)
    assert await service.take_turn.fail(attempt, ModelUnavailable("down")) == turn


async def test_a_commit_that_cannot_be_looked_up_either_leaves_storage_unavailable() -> None:
    service = Service()
    service.commits.append(Trouble(error=CommitUnknown("broken off"), written=True))
    service.reader.troubles.append(Trouble(error=StorageUnavailable("away")))
    with pytest.raises(StorageUnavailable):
        await service.take_turn(a_message(key=KEY))
    service.commits.append(Trouble(error=CommitUnknown("broken off"), written=True))
    service.reader.troubles.append(Trouble(error=StorageUnavailable("away")))
    with pytest.raises(StorageUnavailable):
        await service.start_conversation(NewConversation(tenant_id=TENANT))


@pytest.mark.parametrize("commits", [0, 1], ids=["claim", "record"])
async def test_a_database_that_hangs_holds_no_answer_past_the_deadline_and_a_second(
    commits: int,
) -> None:
    service = Service(policy=SOON)
    service.commits.extend([*[None] * commits, Trouble(), Trouble()])
    async with asyncio.timeout(2):
        with pytest.raises(CommitUnknown):
            await service.take_turn(a_message())


async def test_a_hanging_record_that_was_written_is_found_with_the_same_key() -> None:
    service = Service(policy=SOON)
    service.commits.extend([None, Trouble(written=True)])
    with pytest.raises(CommitUnknown):
        await service.take_turn(a_message(key=KEY))
    assert (await service.take_turn(a_message(key=KEY))).replayed


async def test_somebody_elses_timeout_is_not_the_databases() -> None:
    service = Service()
    service.commits.append(Trouble(error=TimeoutError()))
    with pytest.raises(TimeoutError):
        await service.take_turn(a_message())


async def test_a_reply_that_was_not_recorded_is_not_made_up() -> None:
    service = Service()
    service.commits.extend([None, Trouble(error=CommitUnknown("broken off"))])
    with pytest.raises(CommitUnknown):
        await service.take_turn(a_message())
    turn = the_turn(service)
    assert turn.reply is None
    assert turn.error == TurnError(code="storage_unavailable", retryable=True)


@pytest.mark.parametrize("written", [True, False])
async def test_a_claim_of_unknown_outcome_is_looked_up(*, written: bool) -> None:
    service = Service()
    service.commits.append(Trouble(error=CommitUnknown("broken off"), written=written))
    if written:
        assert (await service.take_turn(a_message())).turn.status is TurnStatus.COMPLETED
        return
    with pytest.raises(StorageUnavailable):
        await service.take_turn(a_message())
    assert service.state.turns == {}


async def test_a_second_claim_of_unknown_outcome_that_was_not_written_is_not_the_first() -> None:
    service = Service(ModelUnavailable("down"))
    message = a_message(key=KEY)
    with pytest.raises(ModelUnavailable):
        await service.take_turn(message)
    # The insert meets the taken key; then the second attempt's claim breaks off.
    service.commits.extend([None, Trouble(error=CommitUnknown("broken off"))])
    with pytest.raises(StorageUnavailable):
        await service.take_turn(message)
    assert the_turn(service).attempt == 1


async def test_a_claim_of_unknown_outcome_is_not_ones_own_where_somebody_else_made_it() -> None:
    service = Service(ModelUnavailable("down"))
    message = a_message(key=KEY)
    with pytest.raises(ModelUnavailable):
        await service.take_turn(message)
    others: list[AcceptedTurn] = []

    class Overtaken(Trouble):
        async def strike(self) -> None:
            service.clock.advance(0.001)
            others.append(await service.accept(message))
            raise CommitUnknown("broken off")

    service.commits.extend([None, Overtaken()])
    with pytest.raises(StorageUnavailable):
        await service.accept(message)
    assert [other.turn.attempt for other in others] == [2]


async def test_what_was_paid_before_the_guardrail_failed_is_kept() -> None:
    service = Service("Claro! Não sei.", guardrail=ScriptedGuardrail(fails_on=["Não sei."]))
    with pytest.raises(GuardrailError):
        await service.take_turn(a_message())
    [attempt] = service.state.attempts.values()
    assert (len(attempt.calls), attempt.calls_made, attempt.said) == (1, 1, "")


async def test_a_call_that_failed_was_made() -> None:
    service = Service(ModelUnavailable("down"))
    with pytest.raises(ModelUnavailable):
        await service.take_turn(a_message())
    [attempt] = service.state.attempts.values()
    assert (attempt.calls, attempt.calls_made) == ((), 1)


async def test_somebody_elses_timeout_is_not_the_deadline() -> None:
    async def impatient(_piece: str) -> None:
        raise TimeoutError

    service = Service()
    with pytest.raises(TimeoutError):
        await service.take_turn(a_message(), impatient)
    assert the_turn(service).error == TurnError(code="internal_error", retryable=True)


async def test_a_lost_race_is_run_again() -> None:
    service = Service()
    once_less = lost(VersionConflict("somebody"), TRIES - 1)
    service.commits.extend([*once_less, None, *once_less])
    outcome = await service.take_turn(a_message())
    assert outcome.turn.status is TurnStatus.COMPLETED
    assert service.texts(outcome.turn.conversation_id) == ["Cadê meu pedido?", "Claro!"]
    assert len(service.commits) == 0


@pytest.mark.parametrize("reply", ["Claro!", ModelUnavailable("down")], ids=["record", "fail"])
async def test_what_changed_in_the_conversation_meanwhile_is_kept(
    reply: str | ModelUnavailable,
) -> None:
    service = Service(reply)
    attempt = (await service.accept(a_message())).attempt
    assert attempt is not None
    header = service.state.headers[attempt.conversation_id]
    changed = replace(header, metadata={"changed": "meanwhile"}, version=header.version + 1)
    service.state.headers[header.id] = changed
    with contextlib.suppress(ModelUnavailable):
        await service.take_turn.run(attempt)
    assert the_turn(service).status is not TurnStatus.RUNNING
    stored = service.state.headers[header.id]
    assert stored.metadata == {"changed": "meanwhile"}
    assert (stored.version, stored.running_turn_id) == (header.version + 2, None)


async def test_a_reply_that_loses_every_race_is_given_up_and_the_conversation_is_free() -> None:
    service = Service()
    service.commits.extend([None, *lost(VersionConflict("somebody"), TRIES + 1)])
    with pytest.raises(VersionConflict):
        await service.take_turn(a_message())
    assert the_turn(service).error == TurnError(code="storage_unavailable", retryable=True)


async def test_where_even_failing_is_not_stored_the_lease_will_free_the_conversation() -> None:
    service = Service()
    service.commits.extend([None, *lost(StorageUnavailable("away"), 2)])
    with pytest.raises(StorageUnavailable):
        await service.take_turn(a_message())
    assert the_turn(service).status is TurnStatus.RUNNING


async def test_a_race_lost_too_often_is_given_up() -> None:
    service = Service()
    service.commits.extend(lost(VersionConflict("somebody"), TRIES))
    with pytest.raises(VersionConflict):
        await service.take_turn(a_message())
    assert service.state.turns == {}
    assert len(service.commits) == 0


async def test_a_race_that_is_run_again_sees_what_the_winner_wrote() -> None:
    service = Service()
    conversation = await service.a_conversation()
    service.commits.append(Trouble(error=VersionConflict("somebody")))
    header = await service.close_conversation(TENANT, conversation)
    assert header.status == "closed"
    assert service.event_names() == ["ConversationStarted", "ConversationClosed"]
