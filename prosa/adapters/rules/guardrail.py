"""Guardrail by local rules: patterns, limits and check digits, without a model."""

import re
from collections.abc import Iterable

from prosa.adapters.rules.folded_text import Span, fold, unfolded_spans
from prosa.adapters.rules.guardrail_rules import GuardrailRule, GuardrailRules, RuleAction
from prosa.application.ports.guardrail import Guardrail, Passage
from prosa.domain.verdict import Allowed, Blocked, Direction, Redacted, Verdict

UNREADABLE = "unreadable_text"
"""The reason for blocking a text that grows past all measure when it is folded."""

_ALLOWED = Allowed()


class RulesGuardrail(Guardrail):
    """Blocks and redacts by rules; it asks nobody, so it never raises GuardrailError."""

    def __init__(self, rules: GuardrailRules) -> None:
        self._folded_characters = rules.folded_characters
        self._rules = {
            direction: tuple(rule for rule in rules.rules if direction in rule.directions)
            for direction in Direction
        }

    async def screen(self, passage: Passage) -> Verdict:
        """Block what a blocking rule matches; else take out what the redacting rules match."""
        text = passage.text
        folded = fold(text)
        if len(folded) > self._folded_characters:
            return Blocked(reason=UNREADABLE)
        rules = _that_may_match(self._rules[passage.direction], folded)
        for rule in rules:
            if rule.action is RuleAction.BLOCK and _matches(rule, text, folded):
                return Blocked(reason=rule.name)
        found = [
            (span, rule)
            for rule in rules
            if rule.action is RuleAction.REDACT
            for span in _spans(rule, text, folded)
        ]
        return _redacted(text, found) if found else _ALLOWED


def _that_may_match(rules: Iterable[GuardrailRule], folded: str) -> list[GuardrailRule]:
    """Take the quick first look: looking for a few letters costs far less than a pattern."""
    holds = folded.__contains__
    return [rule for rule in rules if not rule.needs or any(map(holds, rule.needs))]


def _matches(rule: GuardrailRule, text: str, folded: str) -> bool:
    if rule.check is not None:
        return bool(_spans(rule, text, folded))
    read = text if rule.reads_original else folded
    return any(pattern.search(read) for pattern in rule.patterns)


def _spans(rule: GuardrailRule, text: str, folded: str) -> list[Span]:
    """Find what the rule matches in the text, in the order of its patterns."""
    read = text if rule.reads_original else folded
    spans = [
        span
        for pattern in rule.patterns
        for match in pattern.finditer(read)
        for span in _secrets(rule, match)
    ]
    return spans if rule.reads_original or not spans else unfolded_spans(text, spans)


def _secrets(rule: GuardrailRule, match: re.Match[str]) -> list[Span]:
    """Find the part of a match that the rule is about: what its check confirms, or `secret`."""
    if rule.check is not None:
        return [(match.start() + start, match.start() + end) for start, end in rule.check(match[0])]
    return [match.span("secret" if "secret" in match.re.groupindex else 0)]


def _redacted(text: str, found: Iterable[tuple[Span, GuardrailRule]]) -> Redacted:
    """Take out what was found; where findings overlap, the first stands for all."""
    pieces: list[str] = []
    names: list[str] = []
    done = 0
    for (start, end), rule in sorted(found, key=lambda finding: finding[0]):
        names.append(rule.name)
        if start >= done:
            pieces += (text[done:start], rule.replacement)
        done = max(done, end)
    return Redacted(text="".join((*pieces, text[done:])), rules=tuple(dict.fromkeys(names)))
