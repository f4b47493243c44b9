"""What must hold of the finished suite: every fact is known, and nothing stands on two sides of the split."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence

from harness.errors import UsageError
from harness.knowledge.files import diseases, facts, formulas, herbs
from harness.splits import near_duplicates
from tools.make_tasks.items import Item

_HERB = ("nature", "flavours", "channels", "category", "dose", "toxicity", "pregnancy")
_FORMULA = ("composition", "source", "category")


def known_facts() -> frozenset[str]:
    """Return the id of every fact that the knowledge base states."""
    found = {f.id for f in facts()}
    found.update(f"herb:{h.name}#{kind}" for h in herbs() for kind in _HERB if kind != "dose" or h.dose)
    found.update(f"formula:{f.name}#{kind}" for f in formulas() for kind in _FORMULA)
    for d in diseases():
        found.add(f"disease:{d.name}#definition")
        for p in d.patterns:
            found.add(f"disease:{d.name}/{p.name}#principle")
            if p.formula:
                found.add(f"disease:{d.name}/{p.name}#formula")
    return frozenset(found)


def require_facts(items: Iterable[Item], known: frozenset[str]) -> None:
    """Raise UsageError that names items and facts where an item uses one that the knowledge base no longer states."""
    lost = [(item["id"], fact) for item in items for fact in item.get("facts", ()) if fact not in known]
    if lost:
        named = "; ".join(f"item {item} uses fact {fact}" for item, fact in lost[:10])
        more = f" (and {len(lost) - 10} more)" if len(lost) > 10 else ""
        raise UsageError(
            f"the knowledge base no longer states what the suite asks: {named}{more}. Put the facts back, or make the suite "
            "without these items: python -m tools.make_tasks --drop-lost"
        )


def leaks(items: Sequence[Item]) -> Iterator[str]:
    """Yield one line for each fact, group or near-duplicate text that stands in two splits."""
    for word in ("group", "facts"):
        where: dict[str, dict[str, str]] = defaultdict(dict)
        for item in items:
            for name in [item["group"]] if word == "group" else item.get("facts", ()):
                where[name].setdefault(item["split"], item["id"])
        for name, splits in sorted(where.items()):
            if len(splits) > 1:
                yield f"{'fact' if word == 'facts' else 'group'} {name} stands in {_said(splits)}"
    for one, other in twins(items):
        yield f"near-duplicate texts stand in {_said({one['split']: one['id'], other['split']: other['id']})}"


def _said(splits: Mapping[str, str]) -> str:
    return " and ".join(f"{split} ({item})" for split, item in sorted(splits.items()))


def text_of(item: Item) -> str:
    """Return what of an item is compared: its question and options, without white space and punctuation."""
    turns = "".join(turn["content"] for turn in item.get("turns", ()))
    options = "".join(sorted(item.get("options", {}).values()))
    return re.sub(r"[\W_]+", "", f"{item['question']}{turns}{options}").lower()


def twins(items: Sequence[Item]) -> Iterator[tuple[Item, Item]]:
    """Yield pairs of items of two splits whose texts are near-duplicates."""
    for a, b in near_duplicates([text_of(item) for item in items]):
        if items[a]["split"] != items[b]["split"]:
            yield items[a], items[b]


def without_twins(items: Sequence[Item]) -> list[Item]:
    """Return the items without those of train and validation that nearly repeat one of another split."""
    kept = list(items)
    while True:
        gone = {(b if a["split"] == "test" else a)["id"] for a, b in twins(kept)}
        if not gone:
            return kept
        kept = [item for item in kept if item["id"] not in gone]
