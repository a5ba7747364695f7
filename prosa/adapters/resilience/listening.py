"""A listener to a model's answer, watched: whether it heard anything, and took it."""

from prosa.application.ports.language_model import OnText


class Listening:
    """Passes text on to a listener."""

    def __init__(self, on_text: OnText) -> None:
        self.heard = False
        """Whether there was any text: from then on no other answer may begin."""
        self.broke = False
        """Whether the listener did not take a piece: it failed, or was interrupted."""
        self._on_text = on_text

    @classmethod
    def to(cls, on_text: OnText | None) -> "Listening | None":
        """Watch a listener; one that is watched already stays the same."""
        if on_text is None or isinstance(on_text, cls):
            return on_text
        return cls(on_text)

    async def __call__(self, text: str) -> None:
        """Pass a piece on."""
        self.heard = self.heard or bool(text)
        try:
            await self._on_text(text)
        except BaseException:
            self.broke = True
            raise
