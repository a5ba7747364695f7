"""Where a reply may be cut for release: stable for every prefix, and for whatever follows.

A released piece ends with a sentence, or, in a long sentence, with the first blank behind
`LONG_PIECE_CHARACTERS`; but only a full stop ends one behind a digit, so that numbers that are
written in groups stay in one piece. Where a cut falls depends only on the piece itself and on there
being more behind its blank. So a reply that arrives in drips is cut exactly as the whole text would
be, and pieces that are out stay as they are even where what was to follow is replaced.
"""

import re
from collections.abc import Iterator

LONG_PIECE_CHARACTERS = 100
"""A piece that is longer is cut at its next blank, where no sentence ended sooner."""

_ENDS = ".!?…\n"
"""Without one of these no sentence ends: it is looked for first, since most drips have none."""

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
    may_end = any(map(text.__contains__, _ENDS))
    sentence = _first_end(_SENTENCE_END.finditer(text)) if may_end else 0
    if len(text) <= LONG_PIECE_CHARACTERS:
        return sentence
    blank = _first_end(_BLANK.finditer(text, LONG_PIECE_CHARACTERS))
    return min(sentence, blank) if sentence and blank else sentence or blank


def _first_end(ends: Iterator[re.Match[str]]) -> int:
    """Say where the first of them ends that may stand, or 0."""
    return next((end.end() for end in ends if _may_end(end)), 0)


def _may_end(end: re.Match[str]) -> bool:
    """Whether a stop is there, or what stands before the white space is no number."""
    text, place = end.string, end.start()
    if not text[place].isspace():
        return True
    while place and text[place - 1].isspace():
        place -= 1
    return place == 0 or not (text[place - 1].isdecimal() or text[place - 1] == ")")
