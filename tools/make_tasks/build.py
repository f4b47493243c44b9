"""The whole way from the knowledge base to the items of every file."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from harness.types import DISCIPLINES
from tools.make_tasks import diseases, facts, formulas, herbs
from tools.make_tasks.blanks import blank
from tools.make_tasks.checks import without_twins
from tools.make_tasks.division import divide
from tools.make_tasks.draft import Draft
from tools.make_tasks.english import twin
from tools.make_tasks.items import Item, blank_items, choice_items
from tools.make_tasks.several import multiple, sovereigns

SEED = 20
SINGLE = {"test": 300, "train": 220, "validation": 60}
WIDE = {"test": 460, "train": 330, "validation": 90}
MULTIPLE = {"test": 80, "train": 56, "validation": 18}
BLANK = {"test": 70, "train": 40, "validation": 14}
"""How many questions of each split a discipline's templates may propose; those that cannot be fair are left out."""


def singles(field: str, splits: Mapping[str, str]) -> Iterator[Draft]:
    """Yield the one-answer drafts of a discipline."""
    if field == herbs.FIELD:
        yield from herbs.single()
    elif field == formulas.FIELD:
        yield from formulas.single()
    elif field in facts.FIELDS:
        yield from facts.single(field)
    else:
        yield from diseases.single(field)
        yield from sovereigns(field, splits)


def make(seed: int = SEED) -> dict[str, list[Item]]:
    """Return file name -> items."""
    splits = divide(seed)
    one: list[Item] = []
    several: list[Item] = []
    blanks: list[Item] = []
    for field in DISCIPLINES:
        most = WIDE if field in diseases.BOOKS else SINGLE
        one += choice_items(list(singles(field, splits)), splits, most, prefix="sc", seed=seed)
        several += choice_items(list(multiple(field, splits, seed)), splits, MULTIPLE, prefix="mc", seed=seed)
        blanks += blank_items(blank(field, splits), splits, BLANK, seed=seed)
    kept = {item["id"] for item in without_twins([*one, *several, *blanks])}
    one, several, blanks = ([item for item in items if item["id"] in kept] for items in (one, several, blanks))
    english = [item for item in map(twin, one) if item]
    return {
        "single_choice.jsonl": one,
        "single_choice_en.jsonl": english,
        "multiple_choice.jsonl": several,
        "fill_blank.jsonl": blanks,
    }
