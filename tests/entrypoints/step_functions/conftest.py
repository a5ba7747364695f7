"""A machine whose functions work on an installation in memory."""

from collections.abc import Iterator

import pytest

from prosa.adapters.in_memory.guardrail import ScriptedGuardrail
from tests.application.service import Service
from tests.entrypoints.step_functions.machine import Functions, Machine, running_machine


@pytest.fixture
def service() -> Service:
    guardrail = ScriptedGuardrail(blocks=["proibido"], redacts={"4111": "****"})
    return Service(guardrail=guardrail)


@pytest.fixture
def machine(aws: None, moto_address: str, service: Service) -> Iterator[Machine]:
    assert aws is None
    with running_machine(moto_address, Functions(steps=service.steps)) as machine:
        yield machine
