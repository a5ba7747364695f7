"""Text as rules read it: no case, accents, invisible characters or look-alike letters.

Only the reading is folded; what is passed on stays as it was written.
"""

import tomllib
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from pathlib import Path

Span = tuple[int, int]
"""Where a part of a text begins, and where it ends (exclusive), in characters."""

_KEPT_FOLDS = 50_000
"""So many folds are kept; whoever writes in all of Unicode cannot fill the memory."""

_INVISIBLE_LETTERS = frozenset("\u115f\u1160\u2800\u3164\uffa0")
_DROPPED_CATEGORIES = frozenset({"Cc", "Cf", "Mn", "Me"})


def _read_look_alikes() -> dict[int, str]:
    path = Path(__file__).with_name("look_alikes.toml")
    letters: dict[str, str] = tomllib.loads(path.read_text(encoding="utf-8"))
    return {ord(seen): letter for letter, alike in letters.items() for seen in alike}


_LOOK_ALIKES = _read_look_alikes()


def _folded(character: str) -> str:
    if character.isspace():
        return "\n" if character.splitlines() == [""] else " "
    seen_as = character.translate(_LOOK_ALIKES)
    compatible = unicodedata.normalize("NFKC", seen_as).casefold()
    decomposed = unicodedata.normalize("NFKD", compatible)
    folded = "".join(part for part in decomposed if _is_visible(part))
    # What is left may look like something else in its turn.
    return folded if folded == character else "".join(map(_folded, folded))


def _is_visible(character: str) -> bool:
    return (
        unicodedata.category(character) not in _DROPPED_CATEGORIES
        and character not in _INVISIBLE_LETTERS
    )


class _Folds(dict[int, str]):
    """What each character becomes, found by `find` when it is first met."""

    def __init__(self, find: Callable[[str], str]) -> None:
        super().__init__()
        self._find = find

    def __missing__(self, code: int) -> str:
        found = self._find(chr(code))
        if len(self) < _KEPT_FOLDS:
            self[code] = found
        return found


def _folded_words(character: str) -> str:
    """Fold a character, with a blank in place of all that is no letter or digit."""
    return "".join(part if part.isalnum() else " " for part in _folded(character))


_FOLDS = _Folds(_folded)
_WORD_FOLDS = _Folds(_folded_words)


def fold(text: str) -> str:
    """Fold a text, character by character; of white space, blanks and line ends are left."""
    return text.translate(_FOLDS)


def words_of(text: str) -> list[str]:
    """List the words of a text, folded: letters and digits, cut at all else."""
    return text.translate(_WORD_FOLDS).split()


def unfolded_spans(text: str, spans: Iterable[Span]) -> list[Span]:
    """Find where spans of `fold(text)`, none of them empty, lie in the text itself."""
    ends = _ends_in_fold(text)
    return [(bisect_right(ends, start), bisect_left(ends, end) + 1) for start, end in spans]


def _ends_in_fold(text: str) -> Sequence[int]:
    """Say for each character of the text where it ends in the folded one."""
    return list(accumulate(len(_FOLDS[ord(character)]) for character in text))
