"""Every guardrail keeps the contract."""

import pytest

from prosa.adapters.in_memory.guardrail import ScriptedGuardrail
from prosa.adapters.rules.guardrail import RulesGuardrail
from prosa.adapters.rules.guardrail_rules import load_guardrail_rules
from prosa.application.ports.guardrail import Guardrail
from prosa.testing.guardrail_contract import GuardrailContract


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
