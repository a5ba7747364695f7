"""A canned sentence where no model answers, so that the customer is not left without a word."""

import logging

from prosa.adapters.resilience.error_table import treatment_of
from prosa.adapters.resilience.listening import Listening
from prosa.adapters.wrapped_language_model import WrappedLanguageModel
from prosa.application.ports.language_model import (
    LanguageModel,
    LanguageModelError,
    ModelRequest,
    OnText,
)
from prosa.domain.reply import Reply, apology

logger = logging.getLogger(__name__)


class DegradingLanguageModel(WrappedLanguageModel):
    """Says `sentence` where its model, a whole chain, is down or does not answer in time.

    Never after text of the model's own. What no other model could answer either, such as a
    conversation that is too long, still fails.
    """

    def __init__(self, model: LanguageModel, sentence: str) -> None:
        super().__init__(model)
        self._sentence = sentence

    async def generate(self, request: ModelRequest, on_text: OnText | None = None) -> Reply:
        """Answer; see the port. The reply says that it is degraded."""
        listening = Listening.to(on_text)
        try:
            return await self._model.generate(request, listening)
        except LanguageModelError as error:
            if (listening and listening.heard) or not treatment_of(error).falls_back:
                raise
            logger.warning("answering without a model: %s", error)
        if listening:
            await listening(self._sentence)
        return apology(self._sentence)
