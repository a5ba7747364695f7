"""Intents: a catalog that cannot be misread."""

import pytest

from prosa.domain.errors import ConfigurationError
from prosa.domain.intent import IntentCatalog, IntentDefinition


def defined(name: str) -> IntentDefinition:
    return IntentDefinition(name=name, description=f"about {name}", patterns=(name,))


def test_names_stand_in_the_catalogs_order() -> None:
    catalog = IntentCatalog(
        definitions=(defined("refund"), defined("delivery"), defined("other")), fallback="other"
    )
    assert catalog.names == ("refund", "delivery", "other")


def test_a_catalog_that_names_an_intent_twice_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="twice"):
        IntentCatalog(definitions=(defined("refund"), defined("refund")), fallback="refund")


def test_a_catalog_without_the_intent_to_fall_back_on_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'other'"):
        IntentCatalog(definitions=(defined("refund"),), fallback="other")
