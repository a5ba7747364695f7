"""What every intent classifier promises.

Subclass the contract in a test module and give two fixtures: `catalog`, and `classifier` for it,
which must tell the intent of the message `clear`.
"""

from datetime import UTC, datetime, timedelta

import pytest

from prosa.application.ports.intent_classifier import (
    Classification,
    ClassificationRequest,
    IntentClassifier,
)
from prosa.application.ports.language_model import CallBudget
from prosa.domain.identifiers import DEFAULT_TENANT
from prosa.domain.intent import Intent, IntentCatalog, IntentDefinition
from prosa.domain.message import MAX_MESSAGE_CHARACTERS, Message, Role
from prosa.domain.reply import CallPurpose
from prosa.testing.builders import a_message

SMALL_CATALOG = IntentCatalog(
    definitions=(
        IntentDefinition(
            name="order_status",
            description="asks where an order is",
            patterns=("onde … pedido", "where … order"),
        ),
        IntentDefinition(
            name="refund", description="wants money back", patterns=("reembolso", "refund")
        ),
        IntentDefinition(name="other", description="anything else", patterns=()),
    ),
    fallback="other",
)
"""Three intents, for classifiers that take any catalog."""


class IntentClassifierContract:
    """The clauses. Subclasses give the fixture `classifier`."""

    clear = ("Onde está o meu pedido?", "order_status")
    """A message that leaves no doubt, and its intent."""

    unclear = "zzyzx"
    """A message without any intent."""

    @pytest.fixture
    def catalog(self) -> IntentCatalog:
        """Give the catalog that the classifier was made with."""
        return SMALL_CATALOG

    async def test_a_clear_message_has_its_intent(self, classifier: IntentClassifier) -> None:
        """With some confidence."""
        text, name = self.clear
        intent = (await classify(classifier, text)).intent
        assert intent.name == name
        assert 0 < intent.confidence <= 1

    async def test_it_is_the_last_message_that_counts(self, classifier: IntentClassifier) -> None:
        """What was said before does not replace it."""
        text, name = self.clear
        history = (
            a_message(1, Role.USER, self.unclear),
            a_message(2, Role.ASSISTANT, "Como posso ajudar?"),
            a_message(3, Role.USER, text),
        )
        assert (await classifier.classify(classification_request(*history))).intent.name == name

    async def test_what_it_cannot_tell_is_the_fallback_without_confidence(
        self, classifier: IntentClassifier, catalog: IntentCatalog
    ) -> None:
        """Not knowing is an answer, too."""
        intent = (await classify(classifier, self.unclear)).intent
        assert intent == Intent(name=catalog.fallback, confidence=0.0)

    @pytest.mark.parametrize(
        "text",
        ["", " ", "🙂", "…", "\u200b\ud800", "onde " * 1_600, "é" * MAX_MESSAGE_CHARACTERS],
        ids=["empty", "blank", "emoji", "punctuation", "odd", "repeated", "long"],
    )
    async def test_any_text_at_all_has_an_intent_of_the_catalog(
        self, classifier: IntentClassifier, catalog: IntentCatalog, text: str
    ) -> None:
        """It never fails."""
        intent = (await classify(classifier, text)).intent
        assert intent.name in catalog.names
        assert 0 <= intent.confidence <= 1

    async def test_the_same_message_has_the_same_intent(self, classifier: IntentClassifier) -> None:
        """Asking twice changes nothing."""
        first = await classify(classifier, self.clear[0])
        assert await classify(classifier, self.clear[0]) == first

    async def test_it_makes_one_call_at_most_and_reports_what_was_answered(
        self, classifier: IntentClassifier
    ) -> None:
        """What it takes of the budget is what it reports."""
        budget = CallBudget()
        before = budget.remaining
        result = await classify(classifier, self.clear[0], budget)
        assert before - budget.remaining == len(result.calls) <= 1
        assert all(call.purpose is CallPurpose.CLASSIFY for call in result.calls)

    async def test_it_does_not_fail_where_no_call_is_left(
        self, classifier: IntentClassifier, catalog: IntentCatalog
    ) -> None:
        """It makes none, then."""
        budget = CallBudget(0)
        result = await classify(classifier, self.clear[0], budget)
        assert result.intent.name in catalog.names
        assert result.calls == ()
        assert budget.remaining == 0


async def classify(
    classifier: IntentClassifier, text: str, budget: CallBudget | None = None
) -> Classification:
    """Have a message classified that opens a conversation."""
    message = a_message(1, Role.USER, text)
    return await classifier.classify(classification_request(message, budget=budget))


def classification_request(
    *history: Message, budget: CallBudget | None = None
) -> ClassificationRequest:
    """Make a request that is due in a minute."""
    return ClassificationRequest(
        tenant_id=DEFAULT_TENANT,
        history=history,
        deadline=datetime.now(UTC) + timedelta(minutes=1),
        budget=budget or CallBudget(),
    )
