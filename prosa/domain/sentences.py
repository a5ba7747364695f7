"""Where a reply may be cut for release: stable for every prefix, and for whatever follows.

A released piece ends with a sentence, or, in a long sentence, with the first blank behind
`LONG_PIECE_CHARACTERS`; but only a full stop ends one behind a digit, so that numbers that are
written in groups stay in one piece. Where a cut falls depends only on the piece itself and on there
being more behind its blank. So a reply that arrives in drips is cut exactly as the whole text would
be, and pieces that are out stay as they are even where what was to follow is replaced.
"""

import re

LONG_PIECE_CHARACTERS = 100
"""A piece that is longer is cut at its next blank, where no sentence ended sooner."""

_STOP = r"[.!?…]+[\"'”’)\]*]*"
_SENTENCE_END = re.compile(rf"{_STOP}\s+(?=\S)|\n+\s*(?=\S)")
_BLANK = re.compile(r"\s+(?=\S)")
_ENDED = re.compile(rf"(?:{_STOP}|\n)\s*\Z")


class SentenceSplitter:
    """Cuts a growing text into pieces; the pieces joined are the text.

    Where pieces are out already (`continuing`), white space that would have belonged to the last of
    them is dropped.
    """

    def __init__(self, *, continuing: bool = False) -> None:
        self._continuing = continuing
        self._rest = ""

    def push(self, text: str) -> list[str]:
        """Add text and take the pieces that are complete now."""
        if self._continuing and not self._rest:
            text = text.lstrip()
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


def ends_sentence(piece: str) -> bool:
    """Tell a piece that ends with its sentence from one that was cut since that is long."""
    return _ENDED.search(piece) is not None


def _first_cut(text: str) -> int:
    """Find where the first piece ends, or 0 while it may still grow.

    A cut is taken only once the character behind the white space is known: until then the white
    space, and with it the piece, may still grow.
    """
    found = (_SENTENCE_END.finditer(text), _BLANK.finditer(text, LONG_PIECE_CHARACTERS))
    firsts = (next(filter(_may_end, ends), None) for ends in found)
    return min((end.end() for end in firsts if end), default=0)


def _may_end(end: re.Match[str]) -> bool:
    """Whether a stop is there, or what stands before the white space is no number."""
    text, place = end.string, end.start()
    if not text[place].isspace():
        return True
    while place and text[place - 1].isspace():
        place -= 1
    return place == 0 or not (text[place - 1].isdecimal() or text[place - 1] == ")")
