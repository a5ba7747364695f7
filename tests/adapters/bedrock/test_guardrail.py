"""What is particular to Bedrock's guardrails: what is sent, what is found, how it fails."""

import asyncio
import traceback
from collections.abc import AsyncIterator

import pytest

from embedded_aws.bedrock.wire_format import asked_for, error, json_answer
from embedded_aws.loopback_server import CLOSE, HANG, Json, LoopbackServer, Step, response
from prosa.adapters.bedrock.guardrail import UNNAMED, BedrockGuardrail
from prosa.adapters.bedrock.wire_format import GuardrailReference
from prosa.application.ports.guardrail import GuardrailError
from prosa.domain.errors import ConfigurationError
from prosa.domain.verdict import Allowed, Blocked, Direction, Redacted
from prosa.testing.guardrail_contract import screen
from tests.adapters.bedrock.stub import environment, running_stub, verdict

REFERENCE = GuardrailReference(id="gr1234567890", version="1")
TEXT = "Meu CPF é 123.456.789-09."
SAFE = "Sorry."
SOON = 3.0


@pytest.fixture
async def stub(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LoopbackServer]:
    async with running_stub() as stub:
        for name, value in environment(stub.url).items():
            monkeypatch.setenv(name, value)
        yield stub


@pytest.fixture
async def guardrail(stub: LoopbackServer) -> AsyncIterator[BedrockGuardrail]:
    assert stub.url
    guardrail = BedrockGuardrail(REFERENCE, seconds=0.5)
    await guardrail.open()
    yield guardrail
    await guardrail.aclose()


@pytest.mark.parametrize(
    ("direction", "source"), [(Direction.INBOUND, "INPUT"), (Direction.OUTBOUND, "OUTPUT")]
)
async def test_a_passage_is_sent_with_its_direction(
    stub: LoopbackServer, guardrail: BedrockGuardrail, direction: Direction, source: str
) -> None:
    assert await screen(guardrail, direction, TEXT) == Allowed()
    assert asked_for(stub.requests[0]) == REFERENCE.id
    assert stub.requests[0].body == {"source": source, "content": [{"text": {"text": TEXT}}]}


async def test_a_blank_passage_passes_without_being_sent(
    stub: LoopbackServer, guardrail: BedrockGuardrail
) -> None:
    assert await screen(guardrail, Direction.INBOUND, " \n") == Allowed()
    assert not stub.requests


@pytest.mark.parametrize(
    ("assessment", "reason"),
    [
        ({"topicPolicy": {"topics": [{"name": "Legal", "action": "BLOCKED"}]}}, "legal"),
        ({"contentPolicy": {"filters": [{"type": "HATE", "action": "BLOCKED"}]}}, "hate"),
        (
            {"wordPolicy": {"customWords": [{"match": TEXT, "action": "BLOCKED"}]}},
            "custom_word",
        ),
        (
            {"wordPolicy": {"managedWordLists": [{"type": "PROFANITY", "action": "BLOCKED"}]}},
            "profanity",
        ),
        (
            {
                "sensitiveInformationPolicy": {
                    "piiEntities": [{"match": TEXT, "type": "NAME", "action": "ANONYMIZED"}],
                    "regexes": [{"name": "CPF", "match": TEXT, "action": "BLOCKED"}],
                }
            },
            "cpf",
        ),
        (
            {
                "contextualGroundingPolicy": {
                    "filters": [{"type": "RELEVANCE", "action": "BLOCKED"}]
                }
            },
            "relevance",
        ),
        ({"contentPolicy": {"filters": [{"type": "HATE", "action": "NONE"}]}}, UNNAMED),
        ({"automatedReasoningPolicy": {"findings": [{"impossible": {}}]}}, UNNAMED),
        ({}, UNNAMED),
    ],
)
async def test_what_blocks_is_named_and_never_quoted(
    stub: LoopbackServer, guardrail: BedrockGuardrail, assessment: Json, reason: str
) -> None:
    stub.will(json_answer(verdict(assessment, SAFE)))
    assert await screen(guardrail, Direction.INBOUND, TEXT) == Blocked(reason=reason)


async def test_what_is_masked_is_named_once(
    stub: LoopbackServer, guardrail: BedrockGuardrail
) -> None:
    cpf = {"name": "CPF", "match": "123.456.789-09", "action": "ANONYMIZED"}
    found = {"sensitiveInformationPolicy": {"piiEntities": [], "regexes": [cpf, cpf]}}
    stub.will(json_answer(verdict(found, "Meu CPF é {CPF}.")))
    redacted = Redacted(text="Meu CPF é {CPF}.", rules=("cpf",))
    assert await screen(guardrail, Direction.INBOUND, TEXT) == redacted


async def test_a_mask_that_leaves_nothing_blocks(
    stub: LoopbackServer, guardrail: BedrockGuardrail
) -> None:
    cpf = {"name": "CPF", "action": "ANONYMIZED"}
    answer = verdict({"sensitiveInformationPolicy": {"regexes": [cpf]}}, "")
    stub.will(json_answer(answer))
    assert await screen(guardrail, Direction.INBOUND, TEXT) == Blocked(reason=UNNAMED)


@pytest.mark.parametrize(
    "step",
    [
        error(429, "ThrottlingException"),
        error(400, "ServiceQuotaExceededException"),
        error(403, "AccessDeniedException"),
        error(404, "ResourceNotFoundException"),
        error(400, "ValidationException", f"No: {TEXT}"),
        error(500, "InternalServerException"),
        response(200, b"{"),
        json_answer({"action": "SOMETHING_NEW"}),
        json_answer([1]),
        json_answer(verdict({"topicPolicy": ["not", "as", "documented"]}, SAFE)),
        CLOSE,
        HANG,
    ],
)
async def test_where_there_is_no_verdict_nothing_passes(
    stub: LoopbackServer, guardrail: BedrockGuardrail, step: Step
) -> None:
    stub.will(step)
    async with asyncio.timeout(SOON):
        with pytest.raises(GuardrailError) as failure:
            await screen(guardrail, Direction.INBOUND, TEXT)
    assert TEXT not in "".join(traceback.format_exception(failure.value))
    assert await screen(guardrail, Direction.INBOUND, TEXT) == Allowed()


async def test_without_a_region_it_cannot_be_opened(
    stub: LoopbackServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_DEFAULT_REGION")
    guardrail = BedrockGuardrail(REFERENCE)
    with pytest.raises(ConfigurationError, match="guardrail gr1234567890, version 1"):
        await guardrail.open()
    with pytest.raises(GuardrailError):
        await screen(guardrail, Direction.INBOUND, TEXT)
    assert not stub.requests
    await guardrail.aclose()
