"""Verdicts: what a guardrail found is kept, the text is not."""

from prosa.domain.verdict import Allowed, Blocked, Direction, Finding, Redacted, findings_of


def test_what_may_pass_is_no_finding() -> None:
    assert findings_of(Allowed(), Direction.INBOUND) == ()


def test_each_rule_that_redacted_is_a_finding() -> None:
    verdict = Redacted(text="cpf [redacted]", rules=("cpf", "email"))
    assert findings_of(verdict, Direction.INBOUND) == (
        Finding(direction=Direction.INBOUND, rule="cpf", blocked=False),
        Finding(direction=Direction.INBOUND, rule="email", blocked=False),
    )


def test_a_block_is_one_finding_named_for_the_rule_that_was_broken() -> None:
    assert findings_of(Blocked(reason="injection"), Direction.OUTBOUND) == (
        Finding(direction=Direction.OUTBOUND, rule="injection", blocked=True),
    )


def test_a_finding_does_not_quote_the_text() -> None:
    verdict = Redacted(text="my secret stays here", rules=("secret",))
    assert "stays here" not in repr(findings_of(verdict, Direction.INBOUND))
