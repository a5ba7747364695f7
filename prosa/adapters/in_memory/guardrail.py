"""A guardrail that finds what it was told to find."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType

from prosa.application.ports.guardrail import Guardrail, GuardrailError, Passage
from prosa.domain.verdict import Allowed, Blocked, Redacted, Verdict

BLOCKED = "scripted_block"
REDACTED = "scripted_redaction"

_NOTHING: Mapping[str, str] = MappingProxyType({})


class ScriptedGuardrail(Guardrail):
    """Allows everything but what it is told about.

    A passage that holds one of `blocks` is blocked; in others each key of `redacts` gives way to
    its value; one that holds one of `fails_on` cannot be judged. `passages` lists all that it was
    shown, oldest first.
    """

    def __init__(
        self,
        *,
        blocks: Iterable[str] = (),
        redacts: Mapping[str, str] = _NOTHING,
        fails_on: Iterable[str] = (),
    ) -> None:
        self.passages: list[Passage] = []
        self._blocks = tuple(blocks)
        self._redacts = dict(redacts)
        self._fails_on = tuple(fails_on)

    async def screen(self, passage: Passage) -> Verdict:
        """Judge by the script. Raises GuardrailError where the script says so."""
        self.passages.append(passage)
        if any(part in passage.text for part in self._fails_on):
            raise GuardrailError("the script has no verdict on this")
        if any(part in passage.text for part in self._blocks):
            return Blocked(reason=BLOCKED)
        text = passage.text
        for part, replacement in self._redacts.items():
            text = text.replace(part, replacement)
        return Allowed() if text == passage.text else Redacted(text=text, rules=(REDACTED,))
