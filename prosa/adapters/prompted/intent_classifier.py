"""Intent classifier that asks a language model, which must answer with a name of the catalog."""

import json
import logging
import math
from collections.abc import Iterable
from dataclasses import replace

from prosa.application.ports.intent_classifier import (
    Classification,
    ClassificationRequest,
    IntentClassifier,
)
from prosa.application.ports.language_model import (
    AnswerFormat,
    CallBudget,
    LanguageModel,
    LanguageModelError,
    ModelRequest,
)
from prosa.application.ports.prompt_catalog import PromptCatalog
from prosa.domain.content import Text, text_of
from prosa.domain.context_window import ContextWindow, estimate_tokens
from prosa.domain.errors import ConfigurationError, PromptNotFound
from prosa.domain.intent import CONFIDENCE_DIGITS, Intent, IntentCatalog
from prosa.domain.message import Message, Role, Utterance
from prosa.domain.reply import Call, CallPurpose, Reply

logger = logging.getLogger(__name__)

PROMPT = "classify_intent"

MESSAGES_SHOWN = 5
"""The last message and what led to it: a "yes" alone has no intent."""

TOKENS_SHOWN = 2_000
"""What the messages may take up; the last one is shown whole even where it takes more."""

MAX_OUTPUT_TOKENS = 64
"""The answer is one small object of about 20 tokens."""


class PromptedIntentClassifier(IntentClassifier):
    """Shows a model the catalog and the newest messages, and has it name an intent.

    It makes at most one call, also where the model is a chain that would try again.
    """

    def __init__(
        self, model: LanguageModel, prompts: PromptCatalog, catalog: IntentCatalog
    ) -> None:
        self._model = model
        self._prompts = prompts
        self._names = frozenset(catalog.names)
        self._fallback = Intent(name=catalog.fallback, confidence=0.0)
        self._listed = "\n".join(
            f"- {definition.name}: {definition.description}" for definition in catalog.definitions
        )
        self._answer_format = _answer_format(catalog.names)

    async def classify(self, request: ClassificationRequest) -> Classification:
        """Have the model name the intent; the fallback stands in for an answer that is no use."""
        if not request.history[-1].text.strip():
            return Classification(intent=self._fallback)
        try:
            reply = await self._ask(request)
        except (LanguageModelError, PromptNotFound, ConfigurationError) as error:
            logger.warning("no intent from %s: %s", self._model.name, error)
            return Classification(intent=self._fallback)
        intent = self._intent_in(text_of(reply.parts))
        return Classification(intent=intent or self._fallback, calls=(_call_of(reply),))

    async def _ask(self, request: ClassificationRequest) -> Reply:
        template = await self._prompts.get(request.tenant_id, PROMPT)
        instructions = template.render({"intents": self._listed})
        allowance = CallBudget(min(1, request.budget.remaining))
        asked = ModelRequest(
            tenant_id=request.tenant_id,
            turn_id=request.history[-1].turn_id,
            instructions=instructions,
            utterances=self._shown(request.history, estimate_tokens(instructions)),
            deadline=request.deadline,
            max_output_tokens=MAX_OUTPUT_TOKENS,
            temperature=0.0,
            budget=allowance,
            answer_format=self._answer_format,
        )
        allowed = allowance.remaining
        try:
            return await self._model.generate(asked)
        finally:
            request.budget.remaining -= allowed - allowance.remaining

    def _shown(self, history: Iterable[Message], instruction_tokens: int) -> tuple[Utterance, ...]:
        """Take the newest words. Tools stay out: a model that is offered none may refuse them."""
        left = self._model.context_tokens - instruction_tokens - MAX_OUTPUT_TOKENS
        spoken = [
            replace(message, parts=(Text(text=message.text),))
            for message in history
            if message.text and message.role is not Role.TOOL
        ]
        return ContextWindow.fit(
            spoken,
            tokens=min(TOKENS_SHOWN, left),
            messages=MESSAGES_SHOWN,
            alternating=self._model.needs_alternating_roles,
        ).utterances

    def _intent_in(self, answer: str) -> Intent | None:
        """Read the model's answer; None where it does not say what it was asked to say.

        Not every provider can hold a number to its bounds, so that a confidence outside is cut to
        fit: a model that says 95 is sure.
        """
        try:
            said = json.loads(answer)
            name, confidence = said["intent"], float(said["confidence"])
        except (ValueError, KeyError, TypeError, RecursionError, OverflowError):
            return None
        if not isinstance(name, str) or name not in self._names or math.isnan(confidence):
            return None
        confidence = round(min(max(confidence, 0.0), 1.0), CONFIDENCE_DIGITS)
        return Intent(name=name, confidence=confidence)


def _answer_format(names: Iterable[str]) -> AnswerFormat:
    schema = {
        "type": "object",
        "properties": {
            "intent": {"type": "string", "enum": list(names)},
            "confidence": {"type": "number"},
        },
        "required": ["intent", "confidence"],
        "additionalProperties": False,
    }
    return AnswerFormat(name="intent", schema=json.dumps(schema))


def _call_of(reply: Reply) -> Call:
    return Call(
        purpose=CallPurpose.CLASSIFY,
        provider=reply.provider,
        model=reply.model,
        usage=reply.usage,
    )
