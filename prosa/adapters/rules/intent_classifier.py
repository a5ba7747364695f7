"""Intent classifier by words and phrases: no model, no call."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from prosa.adapters.rules.folded_text import words_of
from prosa.application.ports.intent_classifier import (
    Classification,
    ClassificationRequest,
    IntentClassifier,
)
from prosa.domain.errors import ConfigurationError
from prosa.domain.intent import CONFIDENCE_DIGITS, Intent, IntentCatalog

WEAK_SHARE = 0.1
"""What a pattern that begins with `~` counts, of what it would count otherwise."""

GAP = "…"
WORDS_BETWEEN = 3
"""How many words a gap may stand for at the most."""

STEM_LETTERS = 3
"""The fewest letters of a stem; by so many stems are looked up."""


@dataclass(frozen=True, slots=True)
class _Word:
    """A word of a pattern, or the stem of one; `after_gap` where others may stand before it."""

    letters: str
    is_stem: bool = False
    after_gap: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class _Phrase:
    """A pattern of an intent."""

    intent: str
    words: tuple[_Word, ...]
    weight: float


_Found = dict[_Phrase, None]
"""The phrases of a message, each once, in the order in which they were found."""


class _Node:
    """A place in the tree of all phrases: which of them end here, and which words lead on."""

    __slots__ = ("after_gap", "ends", "stems", "whole")

    def __init__(self) -> None:
        self.ends: _Found = {}
        self.whole: dict[str, _Node] = {}
        self.stems: dict[str, list[tuple[str, _Node]]] = {}
        self.after_gap: _Node | None = None

    def grow(self, word: _Word) -> "_Node":
        """Find the node behind a word, or make it."""
        if word.after_gap:
            self.after_gap = self.after_gap or _Node()
            return self.after_gap.grow(replace(word, after_gap=False))
        if not word.is_stem:
            return self.whole.setdefault(word.letters, _Node())
        stems = self.stems.setdefault(word.letters[:STEM_LETTERS], [])
        node = dict(stems).get(word.letters)
        if node is None:
            node = _Node()
            stems.append((word.letters, node))
        return node

    def go_on(self, message: list[str], start: int, end: int, found: _Found) -> None:
        """Collect the phrases that go on from this node with a word of `start` to `end`."""
        whole, stems = self.whole, self.stems
        for position, word in enumerate(message[start:end], start + 1):
            if word in whole:
                whole[word].arrive(message, position, found)
            for letters, node in stems.get(word[:STEM_LETTERS], ()):
                if word.startswith(letters):
                    node.arrive(message, position, found)

    def arrive(self, message: list[str], position: int, found: _Found) -> None:
        """Collect the phrases that end at this node, and those that go on from it."""
        found.update(self.ends)
        if self.whole or self.stems:
            self.go_on(message, position, position + 1, found)
        if self.after_gap is not None:
            self.after_gap.go_on(message, position, position + 1 + WORDS_BETWEEN, found)


class RulesIntentClassifier(IntentClassifier):
    """Adds up, for each intent, the words of its patterns that the last message holds.

    The intent with the largest sum is named; of equal ones the catalog's first. Its confidence is
    its share of all sums, times n / (n + 1), where n is the number of words in its patterns found:
    one word that speaks for nothing else gives 0.5, a phrase of three 0.75.
    """

    def __init__(self, catalog: IntentCatalog) -> None:
        """Prepare the catalog's patterns. Raises ConfigurationError for one that is malformed."""
        self._rank = {name: place for place, name in enumerate(catalog.names)}
        self._fallback = Intent(name=catalog.fallback, confidence=0.0)
        self._root = _Node()
        for definition in catalog.definitions:
            for pattern in dict.fromkeys(definition.patterns):
                self._add(_phrase(definition.name, pattern))

    async def classify(self, request: ClassificationRequest) -> Classification:
        """Name the intent of the last message by its words alone."""
        message = words_of(request.history[-1].text)
        found: _Found = {}
        self._root.go_on(message, 0, len(message), found)
        return Classification(intent=self._likeliest(found) if found else self._fallback)

    def _add(self, phrase: _Phrase) -> None:
        node = self._root
        for word in phrase.words:
            node = node.grow(word)
        node.ends[phrase] = None

    def _likeliest(self, found: Iterable[_Phrase]) -> Intent:
        sums: dict[str, float] = {}
        words: dict[str, int] = {}
        for phrase in found:
            intent = phrase.intent
            sums[intent] = sums.get(intent, 0.0) + phrase.weight
            words[intent] = words.get(intent, 0) + len(phrase.words)
        name = max(sums, key=lambda name: (sums[name], -self._rank[name]))
        share = sums[name] / sum(sums.values())
        confidence = share * words[name] / (words[name] + 1)
        return Intent(name=name, confidence=round(confidence, CONFIDENCE_DIGITS))


def _phrase(intent: str, pattern: str) -> _Phrase:
    """Read a pattern as intents.toml explains them. Raises ConfigurationError."""
    words: list[_Word] = []
    after_gap = False
    for token in pattern.removeprefix("~").split():
        for letters in words_of(token):
            words.append(_Word(letters, after_gap=after_gap))
            after_gap = False
        if token.endswith("*") and words:
            words[-1] = replace(words[-1], is_stem=True)
        after_gap = token == GAP
    if problem := _problem_of(words, ends_in_gap=after_gap):
        raise ConfigurationError(f"pattern {pattern!r} of intent {intent!r} {problem}")
    weight = len(words) * (WEAK_SHARE if pattern.startswith("~") else 1.0)
    return _Phrase(intent, tuple(words), weight)


def _problem_of(words: list[_Word], *, ends_in_gap: bool) -> str | None:
    if not words:
        return "has no words"
    if ends_in_gap or words[0].after_gap:
        return f"begins or ends with {GAP}, which belongs between words"
    if any(word.is_stem and len(word.letters) < STEM_LETTERS for word in words):
        return f"has a stem of fewer than {STEM_LETTERS} letters"
    return None
