"""Where a reply may be cut for release: stable for every prefix.

A released piece ends with a sentence, or, in a long sentence, with the last blank before
`MAX_PIECE_CHARACTERS`. Where a cut falls depends only on the text up to a few characters behind
it, so a reply that arrives in drips is cut exactly as the whole text would be.
"""

import re

MAX_PIECE_CHARACTERS = 120
"""A piece is cut at the last blank before this length where no sentence ends sooner."""

_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’)\]*]*\s+(?=\S)|\n+\s*(?=\S)")
_BLANK = re.compile(r"\s+(?=\S)")


class SentenceSplitter:
    """Cuts a growing text into pieces; the pieces joined are the text."""

    def __init__(self) -> None:
        self._rest = ""

    def push(self, text: str) -> list[str]:
        """Add text and take the pieces that are complete now."""
        self._rest += text
        pieces: list[str] = []
        while cut := _first_cut(self._rest):
            pieces.append(self._rest[:cut])
            self._rest = self._rest[cut:]
        return pieces

    def finish(self) -> list[str]:
        """Take what is left: at most one piece."""
        rest, self._rest = self._rest, ""
        return [rest] if rest else []


def split(text: str) -> list[str]:
    """Cut a whole text as a splitter cuts it that is fed in drips."""
    splitter = SentenceSplitter()
    return [*splitter.push(text), *splitter.finish()]


def _first_cut(text: str) -> int:
    """Find where the first piece ends, or 0 while more text could still move the cut.

    A cut is taken only once the character behind the white space is known: until then the white
    space, and with it the piece, may still grow.
    """
    sentence = _SENTENCE_END.search(text, 0, MAX_PIECE_CHARACTERS + 1)
    if sentence:
        return sentence.end()
    if len(text) <= MAX_PIECE_CHARACTERS:
        return 0
    blanks = [match.end() for match in _BLANK.finditer(text, 0, MAX_PIECE_CHARACTERS + 1)]
    if blanks:
        return blanks[-1]
    first = _BLANK.search(text, MAX_PIECE_CHARACTERS)
    return first.end() if first else 0
