"""Every intent classifier keeps the contract."""

import json

import pytest

from prosa.adapters.files.prompt_catalog import FilesPromptCatalog
from prosa.adapters.in_memory.intent_classifier import ScriptedIntentClassifier
from prosa.adapters.in_memory.language_model import ScriptedLanguageModel
from prosa.adapters.prompted.intent_classifier import PromptedIntentClassifier
from prosa.adapters.rules.intent_catalog import load_intent_catalog
from prosa.adapters.rules.intent_classifier import RulesIntentClassifier
from prosa.application.ports.intent_classifier import IntentClassifier
from prosa.application.ports.language_model import ModelRequest
from prosa.domain.content import text_of
from prosa.domain.intent import Intent, IntentCatalog
from prosa.testing.intent_classifier_contract import IntentClassifierContract


class TestScripted(IntentClassifierContract):
    @pytest.fixture
    def classifier(self, catalog: IntentCatalog) -> IntentClassifier:
        text, name = self.clear
        return ScriptedIntentClassifier(catalog, {text: Intent(name=name, confidence=0.9)})


class TestRules(IntentClassifierContract):
    @pytest.fixture
    def classifier(self, catalog: IntentCatalog) -> IntentClassifier:
        return RulesIntentClassifier(catalog)


class TestRulesWithTheShippedCatalog(TestRules):
    @pytest.fixture
    def catalog(self) -> IntentCatalog:
        return load_intent_catalog()


class TestPrompted(IntentClassifierContract):
    @pytest.fixture
    def classifier(self, catalog: IntentCatalog) -> IntentClassifier:
        def label(request: ModelRequest) -> str:
            is_clear = text_of(request.utterances[-1].parts) == self.clear[0]
            name, confidence = (self.clear[1], 0.9) if is_clear else (catalog.fallback, 0.0)
            return json.dumps({"intent": name, "confidence": confidence})

        model = ScriptedLanguageModel(default=label)
        return PromptedIntentClassifier(model, FilesPromptCatalog(), catalog)
