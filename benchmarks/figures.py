"""Figures with their spread, and tables that a person can read."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A figure measured several times."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Iterable[float]) -> Self:
        """Sum up at least one value."""
        known = sorted(values)
        return cls(median=median(known), low=known[0], high=known[-1])

    def show(self, digits: int = 0) -> str:
        """Write `median (low–high)`."""
        return f"{self.median:,.{digits}f} ({self.low:,.{digits}f}–{self.high:,.{digits}f})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Ratio:
    """One figure divided by another, round by round, and the bound that it should keep."""

    title: str
    rounds: list[float]
    spread: Spread
    at_least: float | None = None
    at_most: float | None = None

    @classmethod
    def of(
        cls,
        title: str,
        above: Sequence[float],
        below: Sequence[float],
        *,
        at_least: float | None = None,
        at_most: float | None = None,
    ) -> Self:
        """Divide two series of the same rounds."""
        rounds = [one / other for one, other in zip(above, below, strict=True)]
        return cls(
            title=title, rounds=rounds, spread=Spread.of(rounds), at_least=at_least, at_most=at_most
        )

    def is_kept(self) -> bool:
        """Tell whether the median keeps its bound; without a bound it does."""
        low_enough = self.at_most is None or self.spread.median <= self.at_most
        return low_enough and (self.at_least is None or self.spread.median >= self.at_least)

    def show(self) -> str:
        """Write the ratio, each round's and the verdict in one line."""
        rounds = " ".join(f"{value:.2f}" for value in self.rounds)
        return f"{self.title}: {self.spread.show(2)}, by round {rounds}{self._verdict()}"

    def _verdict(self) -> str:
        bounds = (("at least", self.at_least), ("at most", self.at_most))
        wanted = [f"{words} {bound:g}" for words, bound in bounds if bound is not None]
        return f"; wanted {wanted[0]}: {'kept' if self.is_kept() else 'MISSED'}" if wanted else ""


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out rows in columns, the first one to the left, figures to the right."""
    widths = [max(len(cell) for cell in column) for column in zip(head, *rows, strict=True)]
    rule = ["-" * width for width in widths]
    return "\n".join(_line(row, widths) for row in (head, rule, *rows))


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    first, *others = (
        cell.rjust(width) if column else cell.ljust(width)
        for column, (cell, width) in enumerate(zip(cells, widths, strict=True))
    )
    return "  ".join([first, *others]).rstrip()
