"""What the scripted guardrail does beyond the contract."""

import pytest

from prosa.adapters.in_memory.guardrail import BLOCKED, REDACTED, ScriptedGuardrail
from prosa.application.ports.guardrail import GuardrailError
from prosa.domain.verdict import Allowed, Blocked, Direction, Redacted
from prosa.testing.guardrail_contract import screen


async def test_it_allows_all_that_it_was_not_told_about() -> None:
    assert await screen(ScriptedGuardrail(), Direction.INBOUND, "<|im_start|>") == Allowed()


async def test_a_block_wins_over_a_redaction_and_a_failure_over_both() -> None:
    guardrail = ScriptedGuardrail(blocks=["b"], redacts={"r": "*"}, fails_on=["f"])
    assert await screen(guardrail, Direction.OUTBOUND, "rar") == Redacted(
        text="*a*", rules=(REDACTED,)
    )
    assert await screen(guardrail, Direction.OUTBOUND, "rb") == Blocked(reason=BLOCKED)
    with pytest.raises(GuardrailError):
        await screen(guardrail, Direction.OUTBOUND, "rbf")


async def test_it_keeps_what_it_was_shown() -> None:
    guardrail = ScriptedGuardrail()
    await screen(guardrail, Direction.INBOUND, "Oi")
    await screen(guardrail, Direction.OUTBOUND, "Olá")
    assert [(seen.direction, seen.text) for seen in guardrail.passages] == [
        (Direction.INBOUND, "Oi"),
        (Direction.OUTBOUND, "Olá"),
    ]
