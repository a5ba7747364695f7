"""Every guardrail keeps the contract."""

from collections.abc import AsyncIterator

import pytest

from prosa.adapters.bedrock.guardrail import BedrockGuardrail
from prosa.adapters.bedrock.wire_format import GuardrailReference
from prosa.adapters.in_memory.guardrail import ScriptedGuardrail
from prosa.adapters.rules.guardrail import RulesGuardrail
from prosa.adapters.rules.guardrail_rules import load_guardrail_rules
from prosa.application.ports.guardrail import Guardrail
from prosa.testing.guardrail_contract import GuardrailContract
from tests.adapters.bedrock.stub import environment, running_stub


class TestScripted(GuardrailContract):
    @pytest.fixture
    def guardrail(self) -> Guardrail:
        return ScriptedGuardrail(
            blocks=["system"],
            redacts={"4111 1111 1111 1111": "[card ***]"},
            fails_on=["never said"],
        )


class TestRules(GuardrailContract):
    @pytest.fixture
    def guardrail(self) -> Guardrail:
        return RulesGuardrail(load_guardrail_rules())


class TestBedrock(GuardrailContract):
    @pytest.fixture
    async def guardrail(self, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Guardrail]:
        async with running_stub() as stub:
            for name, value in environment(stub.url).items():
                monkeypatch.setenv(name, value)
            guardrail = BedrockGuardrail(GuardrailReference(id="gr1234567890", version="1"))
            yield guardrail
            await guardrail.aclose()
