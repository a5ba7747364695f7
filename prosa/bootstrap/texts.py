"""Loads what is data and no code: rules, intents, prompts."""

# ruff: noqa: PLC0415 - each technology is imported only where it is configured, by whoever uses it

from prosa.application.ports.guardrail import Guardrail
from prosa.application.ports.intent_classifier import IntentClassifier
from prosa.application.ports.language_model import LanguageModel
from prosa.application.ports.prompt_catalog import PromptCatalog
from prosa.application.take_turn import PROMPT_VARIABLES
from prosa.application.turn_policy import TurnPolicy
from prosa.domain.errors import ConfigurationError, PromptNotFound
from prosa.domain.identifiers import DEFAULT_TENANT
from prosa.domain.intent import IntentCatalog
from prosa.settings import Settings


def load_guardrail() -> Guardrail:
    """Read the guardrail's rules. Raises ConfigurationError."""
    from prosa.adapters.rules.guardrail import RulesGuardrail
    from prosa.adapters.rules.guardrail_rules import load_guardrail_rules

    return RulesGuardrail(load_guardrail_rules())


async def load_prompts(settings: Settings) -> PromptCatalog:
    """Read the prompts, and see that those in use are there. Raises ConfigurationError."""
    from prosa.adapters.files.prompt_catalog import FilesPromptCatalog

    prompts = FilesPromptCatalog(settings.prompts)
    names = [TurnPolicy().prompt]
    if settings.intent_classifier == "prompted":
        from prosa.adapters.prompted.intent_classifier import PROMPT

        names.append(PROMPT)
    for name in names:
        try:
            prompt = await prompts.get(DEFAULT_TENANT, name)
        except PromptNotFound as error:
            raise ConfigurationError(f"PROSA_PROMPTS: {error}") from error
        if name == TurnPolicy().prompt:
            prompt.render(dict.fromkeys(PROMPT_VARIABLES, ""))
    return prompts


def load_intents() -> IntentCatalog:
    """Read the intents that messages are classified by. Raises ConfigurationError."""
    from prosa.adapters.rules.intent_catalog import load_intent_catalog

    return load_intent_catalog()


def load_intent_classifier(
    settings: Settings, intents: IntentCatalog, model: LanguageModel, prompts: PromptCatalog
) -> IntentClassifier:
    """Prepare what tells intents. Raises ConfigurationError."""
    if settings.intent_classifier == "prompted":
        from prosa.adapters.prompted.intent_classifier import PromptedIntentClassifier

        return PromptedIntentClassifier(model, prompts, intents)
    from prosa.adapters.rules.intent_classifier import RulesIntentClassifier

    return RulesIntentClassifier(intents)
