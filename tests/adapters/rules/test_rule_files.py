"""Files of one's own: what they may say, and how a mistake in them is reported."""

from collections.abc import Callable
from pathlib import Path

import pytest

from prosa.adapters.rules.guardrail import RulesGuardrail
from prosa.adapters.rules.guardrail_rules import SHIPPED_GUARDRAIL, load_guardrail_rules
from prosa.adapters.rules.intent_catalog import SHIPPED_INTENTS, load_intent_catalog
from prosa.domain.errors import ConfigurationError
from prosa.domain.verdict import Allowed, Blocked, Direction, Redacted
from prosa.testing.guardrail_contract import screen

LIMITS = "[limits]\nfolded_characters = 100\n"
RULE = (
    LIMITS
    + """
[[rules]]
name = "rival"
directions = ["outbound"]
action = "block"
"""
)
REDACTION = RULE.replace("block", "redact") + 'patterns = ["x"]\n'


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "own.toml"


def guardrail_of(file: Path, content: str) -> RulesGuardrail:
    file.write_text(content, encoding="utf-8")
    return RulesGuardrail(load_guardrail_rules(file))


async def test_rules_of_one_s_own_take_the_place_of_the_shipped_ones(file: Path) -> None:
    guardrail = guardrail_of(
        file, RULE + 'phrases = ["<shop> … cheaper"]\n[words]\nshop = ["acme"]'
    )
    outbound, inbound = Direction.OUTBOUND, Direction.INBOUND
    assert await screen(guardrail, outbound, "ACMÉ is always cheaper") == Blocked(reason="rival")
    assert await screen(guardrail, inbound, "Acme is always cheaper") == Allowed()
    assert await screen(guardrail, outbound, "Acmes are cheaper") == Allowed()
    assert await screen(guardrail, inbound, "<|im_start|>") == Allowed()


async def test_a_rule_may_read_the_text_as_it_was_written(file: Path) -> None:
    redaction = RULE.replace("block", "redact") + 'replacement = "[…]"\nreads = "original"\n'
    guardrail = guardrail_of(file, redaction + 'patterns = ["[A-Z]{2}"]')
    verdict = await screen(guardrail, Direction.OUTBOUND, "é AB ab")
    assert verdict == Redacted(text="é […] ab", rules=("rival",))


async def test_a_card_number_may_block(file: Path) -> None:
    cards = "[payment_cards]\nissuers = ['4[0-9]{15}']"
    guardrail = guardrail_of(file, RULE + "check = 'payment_card'\npatterns = ['[0-9]+']\n" + cards)
    good, bad = "4111111111111111", "4111111111111112"
    assert await screen(guardrail, Direction.OUTBOUND, good) == Blocked(reason="rival")
    assert await screen(guardrail, Direction.OUTBOUND, bad) == Allowed()


async def test_the_limit_on_the_text_is_the_file_s(file: Path) -> None:
    guardrail = guardrail_of(file, RULE + 'patterns = ["x"]')
    assert await screen(guardrail, Direction.INBOUND, "a" * 100) == Allowed()
    assert isinstance(await screen(guardrail, Direction.INBOUND, "a" * 101), Blocked)


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("rules = [", "cannot read"),
        ("", "limits"),
        (LIMITS, "rules: Field required"),
        ("rules = []\n" + LIMITS.replace("100", "0"), "limits.folded_characters"),
        (RULE, "rules rival: it has neither phrases nor patterns"),
        (RULE + 'patterns = ["("]', "rules rival: not a regular expression"),
        (RULE + 'phrases = ["a (b"]', "rules rival: not a regular expression"),
        (RULE + 'phrases = ["<shop> x"]', "rules rival: there are no words named 'shop'"),
        (
            RULE + 'phrases = ["<shop>"]\n[words]\nshop = ["my <shop>"]',
            "rules rival: there are no words named 'shop'",
        ),
        (
            RULE + 'patterns = ["x"]\nneeds = ["Ação"]',
            "nothing folded can hold 'Ação'; write 'acao'",
        ),
        (RULE + 'patterns = ["x"]\nreplacement = "y"', "rules rival: a replacement belongs to"),
        (REDACTION, "rules rival: a replacement belongs to"),
        (
            RULE + 'patterns = ["x"]\ncheck = "payment_card"',
            "its check needs the table payment_cards",
        ),
        (RULE + 'patterns = ["x"]\ncolour = "red"', "rules rival colour: Extra inputs"),
        (RULE.replace("block", "shout") + 'patterns = ["x"]', "rules rival action"),
        (RULE.replace('"outbound"', "") + 'patterns = ["x"]', "rules rival directions"),
        (RULE.replace('name = "rival"', "") + 'patterns = ["x"]', "rules 1 name: Field required"),
        ("rules = [1]\n" + LIMITS, "rules 1"),
    ],
)
def test_a_mistake_names_the_file_and_its_place(file: Path, content: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        guardrail_of(file, content)
    assert str(file) in str(refused.value)
    assert complaint in str(refused.value)


INTENTS = """
fallback = "other"
[[intents]]
name = "other"
description = "anything"
patterns = []
"""


@pytest.mark.parametrize(
    ("content", "complaint"),
    [
        ("fallback = ", "cannot read"),
        (INTENTS.replace('"other"', '"rest"', 1), "no intent 'rest' to fall back on"),
        (INTENTS + INTENTS.partition("\n\n")[0].replace('fallback = "other"\n', ""), "twice"),
        (INTENTS.replace("patterns", "pattern"), "intents other patterns: Field required"),
        (INTENTS.replace("[]", "[1]"), "intents other patterns 0"),
        (INTENTS.replace('"anything"', '""'), "intents other description"),
        (INTENTS.replace('name = "other"', 'name = "Other Things"'), "intents Other Things name"),
        ('fallback = "other"\nintents = []', "intents"),
    ],
)
def test_a_mistake_in_the_intents_names_the_file_and_its_place(
    file: Path, content: str, complaint: str
) -> None:
    file.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigurationError) as refused:
        load_intent_catalog(file)
    assert str(file) in str(refused.value)
    assert complaint in str(refused.value)


def test_intents_of_one_s_own_take_the_place_of_the_shipped_ones(file: Path) -> None:
    file.write_text(INTENTS, encoding="utf-8")
    assert load_intent_catalog(file).names == ("other",)


@pytest.mark.parametrize("load", [load_guardrail_rules, load_intent_catalog])
def test_a_file_that_is_missing_or_no_text_is_reported(
    load: Callable[[Path], object], file: Path
) -> None:
    with pytest.raises(ConfigurationError, match="cannot read"):
        load(file)
    file.write_bytes(b"\xff\xfe")
    with pytest.raises(ConfigurationError, match="cannot read"):
        load(file)


def test_the_shipped_intents_are_what_customers_write_about() -> None:
    catalog = load_intent_catalog()
    assert catalog.fallback == "other"
    assert {"greeting", "order_status", "refund", "payment", "human_agent"} < set(catalog.names)
    assert all(definition.description for definition in catalog.definitions)


def test_no_shipped_pattern_is_in_two_places() -> None:
    patterns = [
        pattern
        for definition in load_intent_catalog().definitions
        for pattern in definition.patterns
    ]
    assert sorted(patterns) == sorted(set(patterns))


def test_every_expression_that_is_shipped_can_be_compiled() -> None:
    # Nobody checks it when the rules are read: it would be a part of each start.
    rules = load_guardrail_rules().rules
    assert len(rules) > 10
    assert all(rule.patterns for rule in rules)


@pytest.mark.parametrize("file", [SHIPPED_GUARDRAIL, SHIPPED_INTENTS])
def test_the_shipped_files_are_beside_their_readers(file: Path) -> None:
    assert file.is_file()
