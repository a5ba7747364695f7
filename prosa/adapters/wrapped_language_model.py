"""What every wrapper of one language model shares: it goes by the model's own name and figures."""

from prosa.application.ports.language_model import LanguageModel


class WrappedLanguageModel(LanguageModel):
    """A model with something around it."""

    def __init__(self, model: LanguageModel) -> None:
        self._model = model

    @property
    def name(self) -> str:
        """The model's."""
        return self._model.name

    @property
    def context_tokens(self) -> int:
        """The model's."""
        return self._model.context_tokens

    @property
    def needs_alternating_roles(self) -> bool:
        """The model's."""
        return self._model.needs_alternating_roles
