"""Reads what the rules guardrail looks for from a TOML file; guardrail.toml explains the format."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from pathlib import Path
from typing import Literal

from pydantic import Field

from prosa.adapters.rules.folded_text import Span, fold
from prosa.adapters.rules.payment_cards import PaymentCards
from prosa.adapters.rules.toml_file import Section, read_toml
from prosa.domain.errors import ConfigurationError
from prosa.domain.verdict import Direction

SHIPPED_GUARDRAIL = Path(__file__).with_name("guardrail.toml")

_SEPARATOR = r"[\W_]{1,8}"
_WORDS_BETWEEN = 5
_LETTERS_OF_A_WORD = 24


_NAME = re.compile("<([a-z_]+)>")

_Words = Mapping[str, tuple[str, ...]]


class RuleAction(StrEnum):
    """What becomes of a text in which a rule matches."""

    BLOCK = "block"
    REDACT = "redact"


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardrailRule:
    """One thing to look for.

    `needs` are parts of the folded text of which it must hold one, unless there are none. `check`
    finds within a match what really is one.
    """

    name: str
    directions: frozenset[Direction]
    action: RuleAction
    expressions: tuple[str, ...]
    needs: tuple[str, ...]
    reads_original: bool
    replacement: str
    check: Callable[[str], list[Span]] | None

    @property
    def patterns(self) -> tuple[re.Pattern[str], ...]:
        """Its expressions, compiled when they are first needed: most texts need few of them."""
        return _patterns(self.expressions)


@cache
def _patterns(expressions: tuple[str, ...]) -> tuple[re.Pattern[str], ...]:
    return tuple(map(re.compile, expressions))


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardrailRules:
    """All that the guardrail looks for, in order; `folded_characters` is the most it reads."""

    rules: tuple[GuardrailRule, ...]
    folded_characters: int


class _RuleEntry(Section):
    name: str = Field(pattern="^[a-z][a-z0-9_]*$")
    directions: frozenset[Direction] = Field(min_length=1)
    action: RuleAction
    replacement: str = ""
    needs: tuple[str, ...] = ()
    phrases: tuple[str, ...] = ()
    patterns: tuple[str, ...] = ()
    reads: Literal["folded", "original"] = "folded"
    check: Literal["payment_card"] | None = None


class _Limits(Section):
    folded_characters: int = Field(gt=0)


class _PaymentCardsEntry(Section):
    issuers: tuple[str, ...] = Field(min_length=1)
    documents: frozenset[tuple[int, ...]] = frozenset()


class _File(Section):
    limits: _Limits
    words: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    payment_cards: _PaymentCardsEntry | None = None
    rules: tuple[_RuleEntry, ...]


def load_guardrail_rules(path: Path = SHIPPED_GUARDRAIL) -> GuardrailRules:
    """Read the rules of a file.

    Raises ConfigurationError, which names the file, and the rule where it is about one.
    """
    file = read_toml(path, _File)
    try:
        rules = tuple(_rule(entry, file) for entry in file.rules)
        if path != SHIPPED_GUARDRAIL:  # of which tests know that all of it can be compiled
            _require_patterns(rules)
    except ValueError as error:
        raise ConfigurationError(f"{path} is wrong at {error}") from error
    return GuardrailRules(rules=rules, folded_characters=file.limits.folded_characters)


def _require_patterns(rules: Iterable[GuardrailRule]) -> None:
    """Raise ValueError, which names the rule, for what is no regular expression."""
    for rule in rules:
        for expression in rule.expressions:
            _compiled(rule.name, expression)


def _rule(entry: _RuleEntry, file: _File) -> GuardrailRule:
    """Make a rule of what the file says. Raises ValueError, which names the rule."""
    if problem := _contradiction(entry, file):
        raise ValueError(f"rules {entry.name}: {problem}")
    return GuardrailRule(
        name=entry.name,
        directions=entry.directions,
        action=entry.action,
        expressions=tuple(_expressions(entry, file)),
        needs=entry.needs,
        reads_original=entry.reads == "original",
        replacement=entry.replacement,
        check=_check(file) if entry.check else None,
    )


def _contradiction(entry: _RuleEntry, file: _File) -> str | None:
    if not entry.phrases and not entry.patterns:
        return "it has neither phrases nor patterns"
    if (entry.action is RuleAction.REDACT) != bool(entry.replacement):
        return "a replacement belongs to a rule that redacts, and to no other"
    if entry.check and file.payment_cards is None:
        return "its check needs the table payment_cards"
    if unfolded := [need for need in entry.needs if fold(need) != need]:
        return f"nothing folded can hold {unfolded[0]!r}; write {fold(unfolded[0])!r}"
    return None


def _expressions(entry: _RuleEntry, file: _File) -> list[str]:
    if not entry.phrases:
        return list(entry.patterns)
    phrases = "|".join(_phrase(entry.name, phrase, file.words) for phrase in entry.phrases)
    return [rf"(?<!\w)(?:{phrases})(?!\w)", *entry.patterns]


def _phrase(rule: str, phrase: str, words: _Words) -> str:
    """Write a phrase out as a regular expression.

    Words and what separates them have no character in common and every repetition is bounded, so
    the work at each place of a text is bounded, too.
    """
    own = _alternatives(rule, "own", words) if "own" in words else "(?!)"
    word = rf"(?!{own}\b)[^\W_]{{1,{_LETTERS_OF_A_WORD}}}"
    between = rf"(?:{word}{_SEPARATOR}){{0,{_WORDS_BETWEEN}}}"
    spelled_out = _with_names(rule, phrase, words)
    return spelled_out.replace("… ", "…").replace(" ", _SEPARATOR).replace("…", between)


def _with_names(rule: str, phrase: str, words: _Words) -> str:
    return _NAME.sub(lambda name: _alternatives(rule, name[1], words), phrase)


def _alternatives(rule: str, name: str, words: _Words) -> str:
    if name not in words:
        raise ValueError(f"rules {rule}: there are no words named {name!r} to stand here")
    others = {other: listed for other, listed in words.items() if other != name}
    return f"(?:{'|'.join(_with_names(rule, word, others) for word in words[name])})"


def _compiled(name: str, expression: str) -> re.Pattern[str]:
    try:
        return re.compile(expression)
    except re.error as error:
        raise ValueError(f"rules {name}: not a regular expression: {error}") from error


def _check(file: _File) -> Callable[[str], list[Span]] | None:
    if file.payment_cards is None:
        return None
    return PaymentCards(
        issuers=_compiled("payment_card", "|".join(file.payment_cards.issuers)),
        documents=file.payment_cards.documents,
    ).spans
