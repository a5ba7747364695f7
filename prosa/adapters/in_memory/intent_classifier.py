"""An intent classifier that answers as it was told to."""

from collections.abc import Mapping
from types import MappingProxyType

from prosa.application.ports.intent_classifier import (
    Classification,
    ClassificationRequest,
    IntentClassifier,
)
from prosa.domain.errors import ConfigurationError
from prosa.domain.intent import Intent, IntentCatalog
from prosa.domain.reply import Call

_NOTHING: Mapping[str, Intent] = MappingProxyType({})


class ScriptedIntentClassifier(IntentClassifier):
    """Knows the intents of the messages in `answers`, by their whole text, and of no others.

    `calls` are reported with each answer. `requests` lists all that it was asked, oldest first.
    """

    def __init__(
        self,
        catalog: IntentCatalog,
        answers: Mapping[str, Intent] = _NOTHING,
        *,
        calls: tuple[Call, ...] = (),
    ) -> None:
        """Take the script. Raises ConfigurationError for an intent that the catalog lacks."""
        if unknown := {intent.name for intent in answers.values()} - set(catalog.names):
            raise ConfigurationError(f"the catalog has no intent {min(unknown)!r}")
        self.requests: list[ClassificationRequest] = []
        self._fallback = Intent(name=catalog.fallback, confidence=0.0)
        self._answers = dict(answers)
        self._calls = calls

    async def classify(self, request: ClassificationRequest) -> Classification:
        """Look the last message up."""
        self.requests.append(request)
        intent = self._answers.get(request.history[-1].text, self._fallback)
        return Classification(intent=intent, calls=self._calls)
