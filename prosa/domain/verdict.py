"""A guardrail's answer: a value, not an exception."""

from dataclasses import dataclass
from enum import StrEnum
from typing import assert_never


class Direction(StrEnum):
    """Which way a text goes."""

    INBOUND = "inbound"
    """From the customer."""
    OUTBOUND = "outbound"
    """To the customer."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """The text may pass as it is."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Redacted:
    """The text may pass once it reads `text`."""

    text: str
    rules: tuple[str, ...]
    """Names of the rules that took something out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Blocked:
    """The text may not pass."""

    reason: str
    """Name of the rule that it broke; never a part of the text."""


Verdict = Allowed | Redacted | Blocked


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """What a guardrail found in a turn: kept for audit, without the text."""

    direction: Direction
    rule: str
    blocked: bool


def findings_of(verdict: Verdict, direction: Direction) -> tuple[Finding, ...]:
    """List what a verdict found, one finding a rule."""
    match verdict:
        case Allowed():
            return ()
        case Redacted(rules=rules):
            return tuple(Finding(direction=direction, rule=rule, blocked=False) for rule in rules)
        case Blocked(reason=reason):
            return (Finding(direction=direction, rule=reason, blocked=True),)
        case _:
            assert_never(verdict)
