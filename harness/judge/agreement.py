"""How far several judges agree."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations


@dataclass(slots=True)
class Agreement:
    """Sums over units (a criterion of an answer, or an answer's meaning) that at least two judges marked."""

    units: int = 0
    values: int = 0
    apart: float = 0.0
    total: float = 0.0
    squares: float = 0.0
    pairs: int = 0
    equal: int = 0

    def add(self, marks: Sequence[int]) -> None:
        """Take one unit's marks in; a single mark says nothing about agreement and is left out."""
        m = len(marks)
        if m < 2:
            return
        total, squares = float(sum(marks)), float(sum(mark * mark for mark in marks))
        self.units += 1
        self.values += m
        self.total += total
        self.squares += squares
        self.apart += 2 * (m * squares - total * total) / (m - 1)
        both = list(combinations(marks, 2))
        self.pairs += len(both)
        self.equal += sum(a == b for a, b in both)

    def alpha(self) -> float | None:
        """Return Krippendorff's alpha with the interval metric; 1 is full agreement, 0 what chance gives, below 0 worse.

        None with fewer than two units, and when all marks are equal: then there is nothing that could agree or not.
        **Source:** Krippendorff 2011, "Computing Krippendorff's Alpha-Reliability": 1 - observed / expected disagreement.
        """
        n = self.values
        expected = 2 * (n * self.squares - self.total * self.total)
        if self.units < 2 or expected <= 0:
            return None
        return 1 - (n - 1) * self.apart / expected

    def as_row(self) -> dict[str, float | int | None]:
        """Return alpha, the share of pairs of judges that gave the same mark, and the number of units."""
        return {"alpha": self.alpha(), "equal": self.equal / self.pairs if self.pairs else None, "units": self.units}


def agreement(units: Iterable[Sequence[int]]) -> Agreement:
    """Return the agreement over units; each holds the marks of those judges that gave one."""
    found = Agreement()
    for marks in units:
        found.add(marks)
    return found
