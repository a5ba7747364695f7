"""Finds payment card numbers among other long numbers: by issuer, grouping and check digit."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate, groupby

from prosa.adapters.rules.folded_text import Span

_GROUP = re.compile(r"\d+")
_SHORTEST_CARD = 13
_LONGEST_CARD = 19
_SMALLEST_GROUP = 4
_SMALLEST_LAST_GROUP = 3
_DOUBLED = bytes.maketrans(b"0123456789", b"0246813579")

_CNPJ_LENGTH = 14
_CNPJ_WEIGHTS = (6, 5, 4, 3, 2, 9, 8, 7, 6, 5, 4, 3, 2)


@dataclass(frozen=True, slots=True, kw_only=True)
class PaymentCards:
    """What card numbers look like.

    `issuers` matches a whole card number without separators. `documents` are the sizes of the
    groups in which other numbers are printed that may hold something like a card number.
    """

    issuers: re.Pattern[str]
    documents: frozenset[tuple[int, ...]]

    def spans(self, run: str) -> list[Span]:
        """Find the card numbers in a run of digits and separators; they may overlap."""
        groups = [match.span() for match in _GROUP.finditer(run)]
        sizes = tuple(end - start for start, end in groups)
        if sizes in self.documents:
            return []
        digits = "".join(run[start:end] for start, end in groups)
        ends = list(accumulate(sizes, initial=0))
        return [
            (groups[first][0], groups[last][1])
            for first, last in _stretches(sizes, ends)
            if self._is_card(digits[ends[first] : ends[last + 1]])
        ]

    def _is_card(self, digits: str) -> bool:
        return (
            self.issuers.fullmatch(digits) is not None
            and passes_luhn(digits)
            and not is_cnpj(digits)
        )


def _stretches(sizes: Sequence[int], ends: Sequence[int]) -> Iterator[tuple[int, int]]:
    """List which neighbouring groups, first to last, have the sizes of a card's.

    `ends` says where each group ends in the digits, after a 0. Groups have four digits or more, and
    the last one three, so that two telephone numbers in a row make no card; or they are all of one
    smaller size, as where each digit is spelled out.
    """
    yield from _spelled_out(sizes)
    for first in range(len(sizes)):
        for last in range(first, len(sizes)):
            length = ends[last + 1] - ends[first]
            if length > _LONGEST_CARD or sizes[last] < _SMALLEST_LAST_GROUP:
                break
            if length >= _SHORTEST_CARD:
                yield first, last
            if sizes[last] < _SMALLEST_GROUP:
                break


def _spelled_out(sizes: Sequence[int]) -> Iterator[tuple[int, int]]:
    first = 0
    for size, alike in groupby(sizes):
        count = len(list(alike))
        if size < _SMALLEST_GROUP and _SHORTEST_CARD <= size * count <= _LONGEST_CARD:
            yield first, first + count - 1
        first += count


def passes_luhn(digits: str) -> bool:
    """Whether the last digit is the check digit of the others, as on payment cards."""
    backwards = digits[::-1].encode()
    total = sum(backwards[::2]) + sum(backwards[1::2].translate(_DOUBLED))
    return (total - ord("0") * len(digits)) % 10 == 0


def is_cnpj(digits: str) -> bool:
    """Whether this is a company's number in Brazil: 14 digits, the last two of them check digits.

    Companies write theirs in full; one in ten of them passes Luhn's check, too.
    """
    return len(digits) == _CNPJ_LENGTH and all(
        _cnpj_check_digit(digits[:length]) == int(digits[length]) for length in (12, 13)
    )


def _cnpj_check_digit(digits: str) -> int:
    weights = _CNPJ_WEIGHTS[-len(digits) :]
    remainder = sum(weight * int(digit) for weight, digit in zip(weights, digits, strict=True)) % 11
    return 0 if remainder < 2 else 11 - remainder  # noqa: PLR2004 - the rule's own figures
