"""What the scripted classifier does beyond the contract."""

import pytest

from prosa.adapters.in_memory.intent_classifier import ScriptedIntentClassifier
from prosa.domain.errors import ConfigurationError
from prosa.domain.intent import Intent
from prosa.domain.reply import CallPurpose
from prosa.testing.builders import a_call
from prosa.testing.intent_classifier_contract import SMALL_CATALOG, classify


async def test_it_reports_the_calls_it_was_told_to() -> None:
    call = a_call(CallPurpose.CLASSIFY)
    classifier = ScriptedIntentClassifier(SMALL_CATALOG, calls=(call,))
    assert (await classify(classifier, "Oi")).calls == (call,)


async def test_it_keeps_what_it_was_asked() -> None:
    classifier = ScriptedIntentClassifier(SMALL_CATALOG)
    await classify(classifier, "Oi")
    (request,) = classifier.requests
    assert request.history[-1].text == "Oi"


def test_an_answer_that_the_catalog_lacks_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="'weather'"):
        ScriptedIntentClassifier(SMALL_CATALOG, {"Oi": Intent(name="weather", confidence=1.0)})
