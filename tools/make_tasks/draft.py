"""What a template makes: a question whose right answer is known, before it has distractors, a place and an id."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from harness.knowledge.entries import Source

LETTERS = "ABCDE"
CODES = {
    "Diagnostics": "dx",
    "Pharmacognosy": "ph",
    "Surgery": "su",
    "Herbal Formulas": "hf",
    "Internal Medicine": "im",
    "Pediatrics": "pe",
    "Fundamentals": "fu",
}
"""Short name of each discipline inside item ids."""


@dataclass(frozen=True, slots=True)
class Draft:
    """A choice question without its distractors.

    `pool`: drafts of one pool share their options: every distractor of one is a right answer of another, so that no option
    is right more often than another. `excluded`: strings that must not be distractors (they would be right, or arguable).
    `near`: strings that make better distractors than others. `wrong`: the distractors where the template knows them itself.
    `entity`: what must not be split between train and test.
    """

    template: str
    discipline: str
    pool: str
    question: str
    right: tuple[str, ...]
    facts: tuple[str, ...]
    entity: str
    explanation: str
    source: Source
    difficulty: int
    group: str
    excluded: frozenset[str] = frozenset()
    near: frozenset[str] = frozenset()
    wrong: tuple[str, ...] = ()

    @property
    def key(self) -> str:
        """Return what tells this draft from all others."""
        return "|".join((self.template, self.discipline, *self.facts, *self.right, self.question))


@dataclass(frozen=True, slots=True)
class BlankDraft:
    """A fill-in question: ____ in the text, and for each the accepted answers."""

    template: str
    discipline: str
    question: str
    answer: tuple[tuple[str, ...], ...]
    facts: tuple[str, ...]
    entity: str
    explanation: str
    source: Source
    difficulty: int
    group: str

    @property
    def key(self) -> str:
        """Return what tells this draft from all others."""
        return "|".join((self.template, self.discipline, *self.facts, self.question))


def rank(seed: int, text: str) -> int:
    """Return a number that depends on the seed and the text only: the source of all chance here."""
    return int.from_bytes(hashlib.blake2b(f"{seed}\x1f{text}".encode(), digest_size=8).digest(), "big")


def item_id(prefix: str, discipline: str, key: str) -> str:
    """Return an id that stays the same as long as the question asks the same of the same fact."""
    return f"{prefix}-{CODES[discipline]}-{hashlib.blake2b(key.encode(), digest_size=5).hexdigest()}"


def cite(source: Source) -> str:
    """Return a source as a reader writes it."""
    return f"《{source.work}》{source.edition}“{source.entry}”"
