"""The fence between training and every test split: by sample id and by normalised text."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from harness.datasets import stream
from harness.errors import UsageError
from harness.suites import Catalogue
from harness.text import fold
from harness.types import Sample

STEM = 12
"""A test question of at least so many characters (normalised) is also looked for inside longer texts."""


@dataclass(frozen=True, slots=True)
class Leak:
    """One training text that stands in a test split: the text, as which test question, and the line of its file if it has one."""

    text: str
    where: str
    origin: str = ""


def bare(text: str) -> str:
    """Return the text without punctuation, spaces, widths, case and traditional forms."""
    return re.sub(r"[\W_]+", "", fold(text, lower=True))


def worded(sample: Sample) -> str:
    """Return a sample's normalised question with its options in any order."""
    turns = "".join(str(turn["content"]) for turn in sample.fields.get("turns") or [])
    return bare(sample.question + turns) + "|" + "".join(sorted(bare(text) for text in sample.options.values()))


class Fence:
    """All test questions that training must not see: those of every suite whose data is here, or of the suites named."""

    def __init__(self, catalogue: Catalogue, names: Iterable[str] = ("all",)) -> None:
        self._ids: set[tuple[str, str]] = set()
        self._texts: dict[str, str] = {}
        self._stems: dict[str, list[tuple[str, str]]] = defaultdict(list)
        self.questions = 0
        here, _ = catalogue.select(names)
        for task in here:
            for sample in stream(catalogue, task, "test"):
                self._add(sample)

    def _add(self, sample: Sample) -> None:
        where = f"{sample.task} {sample.id}"
        self.questions += 1
        self._ids.add((sample.task, sample.id))
        self._texts.setdefault(worded(sample), where)
        stem = bare(sample.question)
        if len(stem) >= STEM:
            self._stems[stem[:STEM]].append((stem, where))

    def sample(self, sample: Sample) -> Leak | None:
        """Return the leak that a training question would be, else None."""
        if sample.split == "test" or (sample.task, sample.id) in self._ids:
            return Leak(sample.question, f"{sample.task} {sample.id} (same id)")
        where = self._texts.get(worded(sample))
        return Leak(sample.question, f"{where} (same text)") if where else None

    def text(self, text: str) -> Leak | None:
        """Return the leak that a training text would be: a test question stands in it word for word. Linear in the text."""
        plain = bare(text)
        for start in range(len(plain) - STEM + 1):
            for stem, where in self._stems.get(plain[start : start + STEM], ()):
                if plain.startswith(stem, start):
                    return Leak(text, f"{where} (its question stands in the text)")
        return None


def stop_at(leaks: Sequence[Leak]) -> None:
    """Raise UsageError when there is a leak, naming the first three."""
    if leaks:
        shown = "".join(f"\n  {leak.origin}{leak.text[:60]!r} is {leak.where}" for leak in leaks[:3])
        raise UsageError(
            f"{len(leaks)} training text(s) stand in a test split, so nothing was trained:{shown}\n"
            "Take them out of the training data, or let them be left out: --set data.leaks=leave_out"
        )
