"""Problems: each failure is told by its code and status, and nothing of the inside."""

from collections.abc import Iterator

import httpx
import pytest

from prosa.adapters.in_memory.language_model import ScriptedLanguageModel
from prosa.application.ports.authenticator import KeysUnavailable
from prosa.application.ports.event_bus import EventBusError
from prosa.application.ports.guardrail import GuardrailError
from prosa.application.ports.language_model import (
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
from prosa.application.ports.message_queue import MessageQueueError
from prosa.application.ports.reply_outlet import ReplyOutletError
from prosa.application.ports.secret_store import SecretUnavailable, SecretUnreadable
from prosa.application.ports.turn_runner import TurnNotStarted
from prosa.application.ports.unit_of_work import (
    CommitUnknown,
    StorageUnavailable,
    VersionConflict,
)
from prosa.domain.errors import (
    ConfigurationError,
    ConversationBusy,
    ConversationClosed,
    ConversationNotFound,
    DeadlineExceeded,
    Forbidden,
    InvalidField,
    KeyReused,
    KeyTaken,
    MessageTooLong,
    PromptNotFound,
    ProsaError,
    StaleAttempt,
    TokenMissing,
    TokenRefused,
    TurnFailed,
    TurnInProgress,
    TurnNotFound,
    TurnWithoutReply,
)
from prosa.domain.identifiers import ConversationId, TurnId
from prosa.domain.reply import Reply
from prosa.entrypoints.http.problem_table import problem_of
from tests.entrypoints.http.serving import STREAM, events_in, parts_with, problem_in, served

CONVERSATION = ConversationId(f"conv_{'1' * 32}")
TURN = TurnId(f"turn_{'1' * 32}")
BODY = {"text": "secret words"}

TOLD: list[tuple[ProsaError, int, str, int | None]] = [
    (ConversationClosed(CONVERSATION), 409, "conversation_closed", None),
    (ConversationBusy(CONVERSATION, 1.2), 409, "conversation_busy", 2),
    (InvalidField("text", "must not be empty"), 422, "validation_error", None),
    (MessageTooLong(9_000, 8_000), 422, "validation_error", None),
    (ConversationNotFound(CONVERSATION), 404, "conversation_not_found", None),
    (TurnNotFound(TURN), 404, "turn_not_found", None),
    (TokenMissing(), 401, "unauthenticated", None),
    (TokenRefused("the token is odd"), 401, "unauthenticated", None),
    (Forbidden("not yours"), 403, "forbidden", None),
    (KeysUnavailable("away"), 503, "identity_unavailable", 2),
    (KeyReused(), 422, "idempotency_key_reused", None),
    (KeyTaken("k"), 503, "storage_unavailable", 2),
    (TurnInProgress(TURN, 0.1), 409, "turn_in_progress", 1),
    (StaleAttempt(TURN, 1), 409, "turn_in_progress", 1),
    (DeadlineExceeded(TURN), 504, "deadline_exceeded", 1),
    (TurnFailed(TURN, "context_too_long"), 422, "context_too_long", None),
    (TurnFailed(TURN, "model_rejected"), 502, "model_rejected", None),
    (TurnFailed(TURN, "lease_ran_out"), 502, "turn_failed", None),
    (TurnFailed(TURN, "model_unavailable"), 502, "turn_failed", None),
    (ModelUnavailable("away"), 503, "model_unavailable", 5),
    (ModelRateLimited("slow down", 7.01), 503, "model_unavailable", 8),
    (ModelRateLimited("slow down"), 503, "model_unavailable", 5),
    (ModelRateLimited("slow down", float("nan")), 503, "model_unavailable", 5),
    (ModelTimedOut("late"), 503, "model_unavailable", 5),
    (ModelReplyMalformed("odd"), 503, "model_unavailable", 5),
    (CircuitOpen("rests", 12.3), 503, "model_unavailable", 13),
    (ContentFiltered("no"), 503, "model_unavailable", 5),
    (ModelQuotaExhausted("no credit"), 503, "model_unavailable", 5),
    (ModelMisconfigured("wrong key"), 503, "model_unavailable", 5),
    (ContextTooLong("long"), 422, "context_too_long", None),
    (ModelRejectedRequest("no"), 502, "model_rejected", None),
    (GuardrailError("away"), 503, "guardrail_unavailable", 2),
    (StorageUnavailable("away"), 503, "storage_unavailable", 2),
    (CommitUnknown("broke"), 503, "storage_unavailable", 2),
    (VersionConflict("raced"), 503, "storage_unavailable", 2),
    (TurnNotStarted("away"), 503, "turn_not_started", 2),
    (EventBusError("away"), 500, "internal_error", None),
    (MessageQueueError("away"), 500, "internal_error", None),
    (ReplyOutletError("away"), 500, "internal_error", None),
    (SecretUnavailable("away"), 500, "internal_error", None),
    (SecretUnreadable("away"), 500, "internal_error", None),
    (TurnWithoutReply(TURN), 500, "internal_error", None),
    (PromptNotFound("support_agent", "a folder"), 500, "internal_error", None),
    (ConfigurationError("wrong"), 500, "internal_error", None),
]


@pytest.mark.parametrize(
    ("error", "status", "code", "retry_after"),
    TOLD,
    ids=[f"{number} {type(told[0]).__name__}" for number, told in enumerate(TOLD)],
)
async def test_a_failure_is_told_by_its_code(
    error: ProsaError, status: int, code: str, retry_after: int | None
) -> None:
    async with served(parts_with(refusal=error)) as client:
        response = await client.post("/v1/messages", json=BODY)
    assert response.status_code == status
    problem = problem_in(response)
    assert problem["code"] == code
    assert problem["type"] == f"urn:prosa:problem:{code}"
    asked_again = response.headers.get("retry-after")
    assert asked_again == (str(retry_after) if retry_after else None)


def leaves(kind: type[ProsaError]) -> Iterator[type[ProsaError]]:
    for inner in kind.__subclasses__():
        yield from leaves(inner) if inner.__subclasses__() else (inner,)


def test_no_failure_is_forgotten() -> None:
    known = {kind for kind in leaves(ProsaError) if kind.__module__.startswith("prosa.")}
    # A client's failures are for who asks a server, and none raises them in one.
    ours = {kind for kind in known if not kind.__module__.startswith("prosa.client.")}
    assert {type(error) for error, *_ in TOLD} >= ours


async def test_a_turn_is_named_and_has_an_address() -> None:
    for error in (TurnInProgress(TURN, 1), DeadlineExceeded(TURN), TurnFailed(TURN, "odd")):
        async with served(parts_with(refusal=error)) as client:
            response = await client.post("/v1/messages", json=BODY)
        assert response.headers["location"] == f"/v1/turns/{TURN}"
        assert problem_in(response)["turn_id"] == TURN
        assert problem_in(response)["instance"] == f"/v1/turns/{TURN}"


@pytest.mark.parametrize("kind", [ModelMisconfigured, ModelQuotaExhausted])
async def test_a_fault_of_ours_is_told_as_unavailable_and_its_cause_only_logged(
    kind: type[LanguageModelError], caplog: pytest.LogCaptureFixture
) -> None:
    model = ScriptedLanguageModel(default=kind("the account acme has no credit"))
    async with served(parts_with(model)) as client:
        response = await client.post("/v1/messages", json=BODY)
    assert response.status_code == 503
    problem = problem_in(response)
    assert problem["code"] == "model_unavailable"
    assert "acme" not in response.text
    assert "acme" in caplog.text
    assert kind.__name__ in caplog.text
    assert str(problem["trace_id"]) in caplog.text
    assert "secret" not in caplog.text


async def test_what_nobody_expected_is_an_internal_error_logged_without_its_words(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async with served(parts_with(refusal=RuntimeError("secret words"))) as client:
        response = await client.post("/v1/messages", json=BODY)
    assert response.status_code == 500
    problem = problem_in(response)
    assert problem["code"] == "internal_error"
    assert "secret" not in response.text
    assert "secret" not in caplog.text
    assert str(problem["trace_id"]) in caplog.text
    assert "RuntimeError" in caplog.text
    assert "in __call__" in caplog.text
    assert response.headers["x-content-type-options"] == "nosniff"


async def test_what_nobody_expected_in_a_stream_is_told_there_too() -> None:
    class FallingModel(ScriptedLanguageModel):
        async def generate(self, request: ModelRequest, on_text: OnText | None = None) -> Reply:
            assert request.utterances
            assert on_text
            await on_text("Saiu hoje. Chega")
            raise RuntimeError("secret words")

    async with served(parts_with(FallingModel())) as client:
        response = await client.post("/v1/messages", json=BODY, headers=STREAM)
    assert events_in(response.text)[-1].said["code"] == "internal_error"


async def test_a_client_s_own_mistake_is_not_logged(
    client: httpx.AsyncClient, caplog: pytest.LogCaptureFixture
) -> None:
    await client.post("/v1/messages", json={})
    await client.get("/v1/turns/4711")
    assert caplog.text == ""


@pytest.mark.parametrize("address", ["/", "/v2/messages", "/v1/messages/", "/v1", "/secret"])
async def test_an_unknown_address_is_a_problem_that_does_not_repeat_it(
    client: httpx.AsyncClient, address: str
) -> None:
    response = await client.get(address)
    assert response.status_code == 404
    problem = problem_in(response)
    assert problem["code"] == "not_found"
    assert problem["instance"] is None


@pytest.mark.parametrize(
    ("method", "address", "allowed"),
    [
        ("GET", "/message", "POST"),
        ("DELETE", "/v1/conversations", "GET, POST"),
        ("PUT", f"/v1/conversations/{CONVERSATION}/messages", "GET, POST"),
        ("POST", f"/v1/turns/{TURN}", "GET"),
    ],
)
async def test_a_method_that_an_address_has_not_is_a_problem_that_says_which_it_has(
    client: httpx.AsyncClient, method: str, address: str, allowed: str
) -> None:
    response = await client.request(method, address)
    assert response.status_code == 405
    assert response.headers["allow"] == allowed
    assert problem_in(response)["code"] == "method_not_allowed"


async def test_instance_is_the_address_where_that_is_ours(client: httpx.AsyncClient) -> None:
    missing = await client.get(f"/v1/conversations/{CONVERSATION}")
    assert problem_in(missing)["instance"] == f"/v1/conversations/{CONVERSATION}"
    malformed = await client.get("/v1/conversations/joao")
    assert "joao" not in malformed.text


def test_a_problem_is_told_to_whole_seconds() -> None:
    assert problem_of(ConversationBusy(CONVERSATION, 0.0)).retry_after == 1
    assert problem_of(ConversationBusy(CONVERSATION, 2.0)).retry_after == 2
    assert problem_of(ConversationBusy(CONVERSATION, 2.001)).retry_after == 3
