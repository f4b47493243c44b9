"""The whole way from the knowledge base to the items of every file."""

from __future__ import annotations

from collections.abc import Iterator

from harness.types import DISCIPLINES
from tools.make_tasks import diseases, facts, formulas, herbs
from tools.make_tasks.division import divide
from tools.make_tasks.draft import Draft
from tools.make_tasks.items import Item, choice_items

SEED = 20
SINGLE = {"test": 190, "train": 140, "validation": 40}
"""How many one-answer questions of each split are asked for, a discipline."""


def singles(field: str) -> Iterator[Draft]:
    """Yield the one-answer drafts of a discipline."""
    if field == herbs.FIELD:
        yield from herbs.single()
    elif field == formulas.FIELD:
        yield from formulas.single()
    elif field in facts.FIELDS:
        yield from facts.single(field)
    else:
        yield from diseases.single(field)


def make(seed: int = SEED) -> dict[str, list[Item]]:
    """Return file name -> items."""
    splits = divide(seed)
    items: list[Item] = []
    for field in DISCIPLINES:
        items += choice_items(list(singles(field)), splits, SINGLE, prefix="sc", seed=seed)
    return {"single_choice.jsonl": items}
